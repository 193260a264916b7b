/* Encodes RGB as a JPEG with libjpeg-turbo: the thumbnails of reports. */
#include <stdlib.h>

#include "module.h"

#include "jinclude.h"
#include "jpeglib.h"
#include "jerror.h"

/* Parts for 12-bit samples, which libjpeg-turbo only mentions. */
#define ABSENT(name, ...) \
  void name(j_compress_ptr cinfo __VA_ARGS__) { ERREXIT(cinfo, JERR_NOT_COMPILED); }
ABSENT(j12init_color_converter)
ABSENT(j12init_downsampler)
ABSENT(j12init_forward_dct)
ABSENT(j12init_c_coef_controller, , boolean whole)
ABSENT(j12init_c_main_controller, , boolean whole)
ABSENT(j12init_c_prep_controller, , boolean whole)

static void refuse(j_common_ptr cinfo) { FAIL("the JPEG encoder has given up"); }
static void note(j_common_ptr cinfo, int level) {}
static void ignore(j_common_ptr cinfo) {}

EXPORT(alloc) void *alloc(size_t size) {
  void *block = malloc(size);
  if (block == NULL) FAIL("out of memory");
  return block;
}

/* Emits the file; quality as in cjpeg. */
EXPORT(encode) void encode(unsigned char *pixels, unsigned width, unsigned height, int quality) {
  struct jpeg_error_mgr errors = {0};
  struct jpeg_compress_struct cinfo;
  unsigned char *file = NULL;
  unsigned long length = 0;

  cinfo.err = &errors;
  errors.error_exit = refuse;
  errors.emit_message = note;
  errors.output_message = errors.reset_error_mgr = ignore;

  jpeg_create_compress(&cinfo);
  jpeg_mem_dest(&cinfo, &file, &length);
  cinfo.image_width = width;
  cinfo.image_height = height;
  cinfo.input_components = 3;
  cinfo.in_color_space = JCS_RGB;
  jpeg_set_defaults(&cinfo);
  jpeg_set_quality(&cinfo, quality, TRUE);
  cinfo.optimize_coding = TRUE;
  jpeg_start_compress(&cinfo, TRUE);
  while (cinfo.next_scanline < height) {
    JSAMPROW row = pixels + (size_t)cinfo.next_scanline * width * 3;
    jpeg_write_scanlines(&cinfo, &row, 1);
  }
  jpeg_finish_compress(&cinfo);
  emit(file, length);
}
