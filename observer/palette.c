/* Colours that are told apart also by those who do not see all of them: after Okabe and Ito (2008),
 * made lighter where they would be hard to read on black. What matters has a shape or a letter,
 * too. What is done covers most of a map: it is dark where there is a dark colour, else grey.
 * Pure. */
#include "observer/palette.h"

struct look {
    int32_t rgb;
    int16_t of_256, of_16, of_8; /* COLOUR_DEFAULT: none */
    uint8_t style;               /* where there is no colour for it */
};

static const struct look looks[ROLES] = {
    [ROLE_TEXT] = {COLOUR_DEFAULT, COLOUR_DEFAULT, COLOUR_DEFAULT, COLOUR_DEFAULT, 0},
    [ROLE_DIM] = {0x8a8a8a, 245, 8, COLOUR_DEFAULT, PALETTE_DIM},
    [ROLE_TITLE] = {0x56b4e9, 74, 14, 6, STYLE_BOLD},
    [ROLE_HEAD] = {0x9e9e9e, 247, 7, 7, 0},
    [ROLE_KEY] = {0x56b4e9, 74, 14, 6, STYLE_BOLD},
    [ROLE_GOOD] = {0x00b884, 36, 10, 2, 0},
    [ROLE_BUSY] = {0x56b4e9, 74, 12, 4, 0},
    [ROLE_WARN] = {0xe69f00, 214, 11, 3, STYLE_BOLD},
    [ROLE_BAD] = {0xf0602a, 202, 9, 1, STYLE_BOLD},
    [ROLE_DONE] = {0x1f5f52, 23, 4, COLOUR_DEFAULT, PALETTE_DIM},
    [ROLE_FAILED] = {0xf0602a, 202, 9, 1, STYLE_BOLD},
    [ROLE_CANCELLED] = {0x9e9e9e, 247, 7, 7, 0},
    [ROLE_QUEUED] = {0xb0b0b0, 249, 7, 7, 0},
    [ROLE_POOLED] = {0xf0e442, 227, 11, 3, 0},
    [ROLE_SUSPECT] = {0xcc79a7, 175, 13, 5, STYLE_BOLD},
    [ROLE_UNKNOWN] = {0x6c6c6c, 242, 8, COLOUR_DEFAULT, PALETTE_DIM},
    [ROLE_NODE] = {0x56b4e9, 74, 14, 6, 0},
    [ROLE_NODE + 1] = {0xe69f00, 214, 11, 3, 0},
    [ROLE_NODE + 2] = {0x00c792, 42, 10, 2, 0},
    [ROLE_NODE + 3] = {0xcc79a7, 175, 13, 5, 0},
    [ROLE_NODE + 4] = {0xf0e442, 227, 3, 3, 0},
    [ROLE_NODE + 5] = {0x3d8fd1, 32, 12, 4, 0},
    [ROLE_NODE + 6] = {0xe07b39, 173, 9, 1, 0},
    [ROLE_NODE + 7] = {0xd0d0d0, 252, 15, 7, 0},
    [ROLE_NODE + 8] = {0x9ad1f5, 117, 6, 6, 0},
    [ROLE_NODE + 9] = {0xb8a1e3, 141, 5, 5, 0},
    [ROLE_NODE + 10] = {0x8fd694, 114, 2, 2, 0},
    [ROLE_NODE_LAST] = {0xf2b8a0, 217, 7, 7, 0},
};

int32_t palette_colour(enum role role, int colours, uint8_t *ret_style)
{
    const struct look *look = &looks[role];
    bool colourless = colours < 8 || (colours < 16 && look->of_8 == COLOUR_DEFAULT);
    *ret_style = colourless ? look->style : 0;
    if (colours >= 1 << 24)
        return look->rgb;
    if (colours >= 256)
        return look->of_256;
    if (colours >= 16)
        return look->of_16;
    return colours >= 8 ? look->of_8 : COLOUR_DEFAULT;
}
