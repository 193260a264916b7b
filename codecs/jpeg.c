/* Decodes a JPEG to RGB with libjpeg-turbo at its defaults: accurate integer DCT, fancy upsampling, block smoothing. */
#include <stdlib.h>
#include <string.h>

#include "module.h"
#include "jinclude.h"
#include "jpeglib.h"
#include "jerror.h"

/* Rows that leave together: their copy is still in a cache. */
#define ROWS 16

/* Parts for 12-bit samples and for what nobody asks for, which libjpeg-turbo only mentions. */
#define ABSENT(name, ...) \
  void name(j_decompress_ptr cinfo __VA_ARGS__) { ERREXIT(cinfo, JERR_NOT_COMPILED); }
ABSENT(jinit_merged_upsampler)
ABSENT(j12init_merged_upsampler)
ABSENT(j12init_upsampler)
ABSENT(j12init_color_deconverter)
ABSENT(j12init_inverse_dct)
ABSENT(j12init_d_coef_controller, , boolean whole)
ABSENT(j12init_d_main_controller, , boolean whole)
ABSENT(j12init_d_post_controller, , boolean whole)

/* Indexed by the codes of jerror.h, two of which need texts of CMake's. */
#define JCOPYRIGHT_SHORT ""
#define JVERSION ""
static const char *const messages[] = {
#define JMESSAGE(code, string) string,
#include "jerror.h"
};

static char text[JMSG_LENGTH_MAX];
static size_t warned;

/* Writes the message of `error` to `text`, and gives its length. The numbers of errors and warnings are all ints;
   libc's printf would double the size of this module. */
static size_t say(const struct jpeg_error_mgr *error) {
  size_t length = 0;
  const int *number = error->msg_parm.i;
  for (const char *c = messages[error->msg_code]; *c && length < sizeof(text) - 12; c++) {
    if (*c != '%') {
      text[length++] = *c;
      continue;
    }
    size_t width = 1;
    while (c[1] >= '0' && c[1] <= '9') width = *++c - '0';
    unsigned base = *++c == 'x' ? 16 : 10;
    if (*c == 'c') {
      text[length++] = (char)*number++;
      continue;
    }
    unsigned value = *number++;
    if (*c == 'd' && (int)value < 0) {
      text[length++] = '-';
      value = -value;
    }
    char digits[10];
    size_t count = 0;
    for (; value || count < width; value /= base) digits[count++] = "0123456789abcdef"[value % base];
    while (count) text[length++] = digits[--count];
  }
  return length;
}

static void refuse(j_common_ptr cinfo) { fail(text, say(cinfo->err)); }

/* libjpeg goes on after a warning; the first one is kept for JavaScript to judge. */
static void note(j_common_ptr cinfo, int level) {
  if (level < 0 && cinfo->err->num_warnings++ == 0) warned = say(cinfo->err);
}

static void ignore(j_common_ptr cinfo) {}

EXPORT(alloc) void *alloc(size_t size) {
  void *block = malloc(size);
  if (block == NULL) FAIL("out of memory");
  return block;
}

EXPORT(free) void release(void *block) { free(block); }

/* MAJOR * 1000000 + MINOR * 1000 + PATCH */
EXPORT(version) int version(void) { return LIBJPEG_TURBO_VERSION_NUMBER; }

EXPORT(warning) const char *warning(void) { return text; }

/* Emits the rows of the picture, which has to be of this size; returns the length of the first warning. */
EXPORT(decode) size_t decode(const unsigned char *bytes, size_t length, unsigned width, unsigned height) {
  struct jpeg_error_mgr errors = {0};
  struct jpeg_decompress_struct cinfo;

  cinfo.err = &errors;
  errors.error_exit = refuse;
  errors.emit_message = note;
  errors.output_message = errors.reset_error_mgr = ignore;
  warned = 0;

  jpeg_create_decompress(&cinfo);
  jpeg_mem_src(&cinfo, bytes, length);
  jpeg_read_header(&cinfo, TRUE);
  if (cinfo.image_width != width || cinfo.image_height != height) FAIL("the decoder reads another size");
  cinfo.out_color_space = JCS_RGB;
  jpeg_start_decompress(&cinfo);

  size_t stride = (size_t)width * 3;
  unsigned char *block = alloc(stride * ROWS);
  JSAMPROW rows[ROWS];
  for (int i = 0; i < ROWS; i++) rows[i] = block + stride * i;
  while (cinfo.output_scanline < height) {
    unsigned filled = 0;
    while (filled < ROWS && cinfo.output_scanline < height)
      filled += jpeg_read_scanlines(&cinfo, rows + filled, ROWS - filled);
    emit(block, stride * filled);
  }
  free(block);
  jpeg_finish_decompress(&cinfo);
  jpeg_destroy_decompress(&cinfo);
  return warned;
}
