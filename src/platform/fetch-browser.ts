/** `fetch`, which the engine takes through its proxies itself. */
export function request(url: string | URL, init: RequestInit): Promise<Response> {
  return fetch(url, init);
}
