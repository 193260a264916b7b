/* What the decoders and JavaScript share. Memory is imported, so that its maximum bounds what one picture can take. */
#ifndef FQVIT_MODULE_H
#define FQVIT_MODULE_H

#include <stddef.h>

#define IMPORT(name) __attribute__((import_module("env"), import_name(#name)))
#define EXPORT(name) __attribute__((export_name(#name)))

/* Throws `text` through all frames of this instance, which is dropped. */
IMPORT(fail) _Noreturn void fail(const char *text, size_t length);

/* Takes the next bytes of the result. */
IMPORT(emit) void emit(const unsigned char *bytes, size_t length);

#define FAIL(text) fail(text, sizeof(text) - 1)

#endif
