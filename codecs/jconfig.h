/* What CMake would write. The version is given by scripts/build-codecs.mjs, which reads it in the sources. */
#define JPEG_LIB_VERSION 62
#define MEM_SRCDST_SUPPORTED 1
#define BITS_IN_JSAMPLE 8
