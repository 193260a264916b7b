/* Comes before every file of libjpeg-turbo: parts that nothing here reaches are left out. */
#define JPEG_INTERNALS
#include "jinclude.h"
#include "jpeglib.h"

#undef DCT_IFAST_SUPPORTED
#undef DCT_FLOAT_SUPPORTED
#undef C_LOSSLESS_SUPPORTED
#undef C_PROGRESSIVE_SUPPORTED
#undef C_MULTISCAN_FILES_SUPPORTED
#undef INPUT_SMOOTHING_SUPPORTED
#undef D_LOSSLESS_SUPPORTED
#undef IDCT_SCALING_SUPPORTED
#undef QUANT_1PASS_SUPPORTED
#undef QUANT_2PASS_SUPPORTED
