/* rich_text: the text of a string item or an inline string (<t> within <si> or <is>, in runs or
 * not), without what is only said beside it, kept within a cell's limit. */
#ifndef DIALPLANE_CAMPAIGN_READERS_RICH_TEXT_H
#define DIALPLANE_CAMPAIGN_READERS_RICH_TEXT_H

#include "base/buf.h"

struct rich_text {
    struct buf text;
    unsigned in_phonetic; /* how a name is pronounced, in Japanese workbooks */
    bool in_text;
};

void rich_text_init(struct rich_text *rich);
void rich_text_done(struct rich_text *rich);
void rich_text_begin(struct rich_text *rich);
/* An element inside began or ended. */
void rich_text_start(struct rich_text *rich, const char *name);
void rich_text_end(struct rich_text *rich, const char *name);
void rich_text_put(struct rich_text *rich, struct str text);
/* The text, with _x000D_ and the like as the characters that they are written for; one byte more
 * than the limit when it is longer. Valid until the next begin. */
struct str rich_text_take(struct rich_text *rich);

#endif
