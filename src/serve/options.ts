import type { ModelInfo } from '../model/model.js';
import type { Prediction } from '../model/predict.js';
import type { ReceivingLimits } from './receiving.js';

/** What answers requests: a `Pool` or a `Model`. */
export interface Classifier {
  /** Describes the model. */
  readonly info: Pick<ModelInfo, 'architecture' | 'labels' | 'output' | 'bytes' | 'tier'>;
  /** Classifies an encoded image; returns the likeliest classes, best first. */
  classify(image: Uint8Array, options: ClassifierOptions): Promise<Prediction[]>;
}

/** What the app passes to its {@link Classifier} with each image. */
export interface ClassifierOptions {
  /** Number of classes to return. */
  readonly top: number;
  /** Images with more pixels are refused. */
  readonly maxPixels: number;
  /** Milliseconds left for the image. A `Model` has only `signal`. */
  readonly limitMs: number;
  /** Aborts when the request times out or the client leaves. */
  readonly signal: AbortSignal;
}

/** What {@link createApp} takes besides the model. */
export interface AppOptions {
  /** How answers name the model. Default: its architecture. */
  name?: string;
  /** Bytes of a request body. Default 10 MiB. */
  maxBytes?: number;
  /** Pixels of an image. Default 50 million. */
  maxPixels?: number;
  /** Images per request. Default 32. */
  maxImages?: number;
  /**
   * Images of all requests that wait or are computed, once their bodies have arrived. Requests
   * beyond get 503 at once. Default 128.
   */
  queue?: number;
  /** Limits on bodies that are still arriving. These take no place in the queue. */
  receiving?: ReceivingLimits;
  /** Milliseconds per request; its body must arrive in the first half. Default 30,000. */
  timeoutMs?: number;
  /** Images that are computed at a time: the number of workers of a pool. Default 1. */
  parallel?: number;
  /** Fetches an image by its address for a client. Default: the service refuses addresses. */
  fetchImage?: (url: URL, limits: FetchLimits) => Promise<Uint8Array>;
  /**
   * What clients must send as `Authorization: Bearer` to `/v1/…` and `/metrics`. Default: nothing.
   */
  token?: string;
  /** Called with every answer. */
  onAnswer?: (answer: Answer) => void;
  /** Writes the metrics of `/metrics`. Default: there is no such path. */
  metrics?: {
    /** The content type of the text. */
    readonly contentType: string;
    /**
     * Writes the text.
     *
     * @param inside images that wait or are computed
     * @param receiving bodies that are arriving, and bytes of all requests
     */
    text(inside: number, receiving: { readonly bodies: number; readonly bytes: number }): Promise<string>;
  };
  /** Tells whether the service is about to end; it then refuses new images. */
  isStopping?: () => boolean;
}

/** The limits on an image that the service fetches for a client. */
export interface FetchLimits {
  /** Size of the image, in bytes. */
  readonly maxBytes: number;
  /** Aborts when the request times out or the client leaves. */
  readonly signal: AbortSignal;
  /** Call it with the number of bytes as they arrive; it throws if the service has no room. */
  readonly take?: (bytes: number) => void;
}

/** One answer, for logs and metrics. */
export interface Answer {
  /** The `X-Request-Id` of the client, or a new one. */
  readonly id: string;
  /** The HTTP method. */
  readonly method: string;
  /** The path, or `other` for one that the service does not have. */
  readonly route: string;
  /** The HTTP status. */
  readonly status: number;
  /** Time from the request to the answer, in milliseconds. */
  readonly ms: number;
  /** Number of images that were classified. */
  readonly images: number;
  /** Number of images that were refused. */
  readonly refused: number;
  /** Code of the problem, if the answer is one. */
  readonly code?: string;
  /** The cause of a 500. */
  readonly error?: unknown;
}
