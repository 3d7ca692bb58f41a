/*
 * A part of load.c: a chunked body (RFC 9112, section 7.1) that holds one gzip stream. Each connection inflates the first chunks by itself,
 * which proves its stream. After that a chunk that is byte for byte what another connection has just inflated is not inflated once more: clients do
 * that on machines of their own, and here it would take the caches and the cores that the server is measured with.
 */
#ifdef WITH_ZLIB
#include <zlib.h>

enum { PROVEN = 48 };

/* `left` counts the bytes of the present chunk and its line end; `begins` says that none of it has been looked at. */
struct Inflater { z_stream stream; size_t left; char size[12]; int digits, begins; uint32_t chunks; };

static char plain[MARK + BUFFER + 1], last_chunk[BUFFER];
static size_t plain_length, last_length;

/* The text is in `plain` where it was all of a chunk, and fits; it has been given to `body` in any case. */
static void inflate_chunk(Connection *c, char *data, size_t length, int whole, uint64_t now) {
  z_stream *stream = &c->inflater->stream;
  int parts = 0;
  stream->next_in = (unsigned char *)data;
  stream->avail_in = length;
  last_length = 0;
  do {
    stream->next_out = (unsigned char *)plain + MARK;
    stream->avail_out = BUFFER;
    int result = inflate(stream, Z_SYNC_FLUSH);
    if (result != Z_OK && result != Z_BUF_ERROR) fail("connection %d cannot be inflated: %d", (int)(c - connections), result);
    plain_length = BUFFER - stream->avail_out;
    if (plain_length) body(c, plain + MARK, plain_length, now);
    parts++;
  } while (stream->avail_out == 0);
  if (!whole || parts > 1) return;
  memcpy(last_chunk, data, length);
  last_length = length;
}

static void inflate_body(Connection *c, char *data, size_t length, uint64_t now) {
  struct Inflater *in = c->inflater;
  if (!in) {
    in = c->inflater = calloc(1, sizeof *in);
    if (!in || inflateInit2(&in->stream, 31) != Z_OK) fail("no memory to inflate");
  }
  while (length > 0) {
    if (in->left == 0) {
      char byte = *data++;
      length--;
      if (byte != '\n') {
        if (in->digits < 10) in->size[in->digits++] = byte;
        continue;
      }
      in->size[in->digits] = 0;
      in->left = strtoul(in->size, NULL, 16) + 2;
      in->digits = 0;
      in->begins = 1;
      in->chunks++;
      continue;
    }
    size_t text = in->left > 2 ? in->left - 2 : 0;
    if (text == 0) {
      in->left--;
      data++;
      length--;
      continue;
    }
    int whole = in->begins && text <= length;
    in->begins = 0;
    if (text > length) text = length;
    if (whole && in->chunks > PROVEN && text == last_length && memcmp(data, last_chunk, text) == 0)
      body(c, plain + MARK, plain_length, now);
    else inflate_chunk(c, data, text, whole, now);
    in->left -= text;
    data += text;
    length -= text;
  }
}
#else
static void inflate_body(Connection *c, char *data, size_t length, uint64_t now) {
  (void)c, (void)data, (void)length, (void)now;
  fail("built without zlib");
}
#endif
