/** `fetch`: the engine applies its own proxies. */
export function request(url: string | URL, init: RequestInit): Promise<Response> {
  return fetch(url, init);
}
