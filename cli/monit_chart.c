#include "cli/monit_chart.h"

#include "common/buf.h"
#include "common/mem.h"

static void put_utf8(struct buf *out, unsigned cp)
{
    buf_putc(out, (char)(0xe0 | cp >> 12));
    buf_putc(out, (char)(0x80 | (cp >> 6 & 0x3f)));
    buf_putc(out, (char)(0x80 | (cp & 0x3f)));
}

/* Steps of `of` that the value fills; a value above nothing fills one. */
static int level(double value, double max, int of)
{
    int n;

    if (!(value > 0) || !(max > 0))
        return 0;
    if (value >= max)
        return of;
    n = (int)(value / max * of + 0.5);
    return n < 1 ? 1 : n;
}

void monit_bar(struct buf *out, double share, int columns, bool utf8)
{
    int eighths = level(share, 1, columns * 8);

    for (int i = 0; i < columns; i++, eighths -= 8) {
        if (!utf8)
            buf_putc(out, eighths >= 4 ? '#' : eighths > 0 ? '-' : '.');
        else if (eighths <= 0)
            buf_putc(out, ' ');
        else /* U+2588 is the full block, U+258F an eighth of it */
            put_utf8(out, 0x2588u + (eighths >= 8 ? 0u : (unsigned)(8 - eighths)));
    }
}

void monit_sparkline(struct buf *out, const float *v, size_t n, double max, int columns, bool utf8)
{
    static const char ascii[] = "_.:-=+*#";
    size_t want = columns > 0 ? (size_t)columns : 0;

    for (size_t i = n; i < want; i++)
        buf_putc(out, ' ');
    for (size_t i = n > want ? n - want : 0; i < n; i++) {
        int l = level(v[i], max, 8);

        l = l ? l - 1 : 0;
        if (utf8)
            put_utf8(out, 0x2581u + (unsigned)l);
        else
            buf_putc(out, ascii[l]);
    }
}

size_t monit_chart_values(int columns, bool utf8)
{
    return columns <= 0 ? 0 : (size_t)columns * (utf8 ? 2 : 1);
}

/* The height in dots of the value at this column of dots; -1 where there is none yet. */
static int dots_at(const float *v, size_t n, size_t width, size_t column, double max, int height)
{
    size_t blank = width > n ? width - n : 0, skip = n > width ? n - width : 0;

    if (column < blank)
        return -1;
    return level(v[skip + column - blank], max, height);
}

/* Dots of one braille column, from the bottom: the left one's bits are 7, 3, 2, 1, the right one's 8, 6,
 * 5, 4. */
static unsigned braille(int dots, int base, bool right)
{
    static const unsigned char bits[2][4] = {{0x40, 0x04, 0x02, 0x01}, {0x80, 0x20, 0x10, 0x08}};
    unsigned cell = 0;

    for (int i = 0; i < 4; i++)
        if (dots > base + i || (dots == 0 && base + i == 0)) /* zero is a line, not a gap */
            cell |= bits[right][i];
    return cell;
}

void monit_chart_row(struct buf *out, const float *v, size_t n, double max, int columns, int row, int rows,
                     bool utf8)
{
    size_t width = monit_chart_values(columns, utf8);
    int per = utf8 ? 4 : 1, base = (rows - 1 - row) * per, height = rows * per;

    for (int c = 0; c < columns; c++) {
        if (!utf8) {
            int d = dots_at(v, n, width, (size_t)c, max, height);

            buf_putc(out, d > base ? '#' : d == 0 && base == 0 ? '_' : ' ');
            continue;
        }
        unsigned cell = braille(dots_at(v, n, width, (size_t)c * 2, max, height), base, false) |
                        braille(dots_at(v, n, width, (size_t)c * 2 + 1, max, height), base, true);

        if (cell)
            put_utf8(out, 0x2800u + cell);
        else
            buf_putc(out, ' ');
    }
}

static double largest(const float *v, size_t n)
{
    double max = 0;

    for (size_t i = 0; i < n; i++)
        if (v[i] > max)
            max = v[i];
    return max;
}

static double round_up(double value, double unit)
{
    static const double steps[] = {1, 2, 5};

    for (double ten = unit;; ten *= 10)
        for (size_t i = 0; i < ARRAY_LEN(steps); i++)
            if (value <= ten * steps[i])
                return ten * steps[i];
}

double monit_scale(const float *v, size_t n, double least)
{
    double max = largest(v, n);

    return max <= least ? least : round_up(max, least);
}

double monit_scale_bytes(const float *v, size_t n)
{
    double max = largest(v, n), unit = 1024.0 * 1024;

    while (max > unit * 1000)
        unit *= 1024;
    return round_up(max, unit);
}
