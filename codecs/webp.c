/* Decodes a still WebP to RGB with libwebp at its defaults. Alpha is dropped, not composited. */
#include <stdlib.h>

#include "module.h"

#include "webp/decode.h"

EXPORT(alloc) void *alloc(size_t size) {
  void *block = malloc(size);
  if (block == NULL) FAIL("out of memory");
  return block;
}

EXPORT(free) void release(void *block) { free(block); }

/* MAJOR * 1000000 + MINOR * 1000 + PATCH */
EXPORT(version) int version(void) {
  int version = WebPGetDecoderVersion();
  return (version >> 16) * 1000000 + (version >> 8 & 255) * 1000 + (version & 255);
}

/* Emits the picture, which has to be of this size. */
EXPORT(decode) void decode(const unsigned char *bytes, size_t length, int width, int height) {
  WebPDecoderConfig config;
  if (!WebPInitDecoderConfig(&config)) FAIL("the headers are of another version than the library");
  if (WebPGetFeatures(bytes, length, &config.input) != VP8_STATUS_OK) FAIL("the header is damaged");
  if (config.input.width != width || config.input.height != height) FAIL("the decoder reads another size");

  size_t stride = (size_t)width * 3;
  size_t size = stride * height;
  unsigned char *pixels = alloc(size);
  config.output.colorspace = MODE_RGB;
  config.output.is_external_memory = 1;
  config.output.u.RGBA.rgba = pixels;
  config.output.u.RGBA.stride = (int)stride;
  config.output.u.RGBA.size = size;
  VP8StatusCode status = WebPDecode(bytes, length, &config);
  if (status == VP8_STATUS_OUT_OF_MEMORY) FAIL("out of memory");
  if (status == VP8_STATUS_NOT_ENOUGH_DATA || status == VP8_STATUS_SUSPENDED) FAIL("the data end too early");
  if (status != VP8_STATUS_OK) FAIL("the data are damaged");
  emit(pixels, size);
  free(pixels);
}
