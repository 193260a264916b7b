/* Comes before every file of libjpeg-turbo: parts that no picture here reaches are left out. */
#define JPEG_INTERNALS
#include "jinclude.h"
#include "jpeglib.h"

#undef DCT_IFAST_SUPPORTED
#undef DCT_FLOAT_SUPPORTED
#undef D_LOSSLESS_SUPPORTED
#undef IDCT_SCALING_SUPPORTED
#undef QUANT_1PASS_SUPPORTED
#undef QUANT_2PASS_SUPPORTED
