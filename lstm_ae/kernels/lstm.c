/* One LSTM layer on a CPU: one direction, whole sequences, forward and backward, float32.
 *
 * The layer of Hochreiter and Schmidhuber 1997 with the forget gate of Gers, Schmidhuber and Cummins 2000, the gates in
 * PyTorch's order:
 *
 *     (i, f, g, o) = (sigmoid, sigmoid, tanh, sigmoid) of W_ih x + W_hh h + b
 *     c <- f c + i g
 *     h <- o tanh(c)
 *
 * How it is made fast
 *
 * - A block of sequences runs through all of time while its state and the weights stay in the cache. Blocks do not need
 *   one another, so threads take blocks and never wait within a sequence.
 * - The lanes of a vector are hidden units. The units are cut into tiles of one vector; the four gates of a tile stand
 *   side by side, so that the elementwise part finds all it needs in neighbouring vectors. A layer of at most half a
 *   vector of units has tiles of half a vector, and its elementwise part takes two sequences at a time.
 * - A row of `z` is what a cell reads at a step: the state h, then the inputs x, then a 1 whose weights are the biases.
 *   So all of the gates are one product z W, all of the weights' gradients one product z' dgates, and whatever is
 *   unusual about the caller's tensors (strides, lengths, reading backwards) is dealt with where rows of `z` are
 *   written and gradients are handed out, by plain loops, and nowhere else.
 * - An input that is the same at every step is multiplied once, and its gates' gradients are summed over time before
 *   they are multiplied. No input at all is such an input with no features.
 * - All products are done by `multiply`, which keeps a tile of the result in registers.
 *
 * Rows past the end of their sequence run on, on zeros, and harm nobody: their outputs are not written, and since no
 * gradient enters them, all of their gradients are exact zeros.
 *
 * Written in the vector extensions that GCC and clang share; the compiler makes AVX-512, AVX2 or NEON of them.
 */
#include <pthread.h>
#include <stdint.h>
#include <string.h>

/* --- Vectors ------------------------------------------------------------------------------------------------------ */

#ifndef LANES
#if defined(__AVX512F__)
#define LANES 16
#elif defined(__AVX__)
#define LANES 8
#else
#define LANES 4
#endif
#endif

/* Rows of a result that `multiply` keeps in registers, times up to 4 vectors: as many as the registers hold. */
#if defined(__AVX512F__) || defined(__aarch64__)
#define ROWS 6
#else
#define ROWS 3
#endif

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")

typedef float vec __attribute__((vector_size(4 * LANES)));
typedef int32_t bits __attribute__((vector_size(4 * LANES)));
typedef float unaligned __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef float four __attribute__((vector_size(16), aligned(4), may_alias));

INLINE vec load(const float *from) { return *(const unaligned *)from; }
INLINE void store(float *to, vec v) { *(unaligned *)to = v; }
/* Stores an aligned vector past the cache, where it would only push out what is read sooner. */
INLINE void stream(float *to, vec v) {
#if defined(__clang__)
    __builtin_nontemporal_store(v, (vec *)to);
#elif defined(__AVX512F__)
    __builtin_ia32_movntps512(to, v);
#else
    store(to, v);
#endif
}
INLINE vec all(float x) { return x - (vec){0}; }
INLINE vec choose(bits where, vec a, vec b) { return (vec)((where & (bits)a) | (~where & (bits)b)); }

/* The lower halves of two vectors side by side, and the upper ones. */
#if LANES == 16
#ifdef __clang__
#define SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (bits){__VA_ARGS__})
#endif
INLINE vec lower(vec a, vec b) { return SHUFFLE(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23); }
INLINE vec upper(vec a, vec b) { return SHUFFLE(a, b, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31); }
#define SMALLEST_TILE 8
#else
INLINE vec lower(vec a, vec b) { return (void)b, a; } /* never called: narrower vectors are not halved */
INLINE vec upper(vec a, vec b) { return (void)a, b; }
#define SMALLEST_TILE LANES
#endif

/* --- Activations -------------------------------------------------------------------------------------------------- */

/* e^x = scale + scale * rest for -87 <= x <= 0. The coefficients are those that fit_activations.py prints. */
INLINE void exponential(vec x, vec *scale, vec *rest) {
    /* Adding 1.5 * 2^23 leaves no room for a fraction: the sum is rounded to an integer n, which its lowest bits hold.
     * The 127 makes of them the exponent of 2^n in float's own format. */
    const vec magic = all(12582912.f + 127.f);
    const vec shifted = x * 1.44269504f + magic;
    const vec n = shifted - magic;
    const vec r = (x - n * 0.693359375f) + n * 2.12194440e-4f; /* ln 2 in two parts (Cody and Waite 1980) */
    vec q = all(0.00138888729f);
    q = q * r + 0.00836906862f;
    q = q * r + 0.0416671373f;
    q = q * r + 0.166665062f;
    q = q * r + 0.49999997f;
    q = q * r + 1.f;
    *scale = (vec)((bits)shifted << 23);
    *rest = q * r;
}

INLINE vec negative_magnitude(vec x, float limit) {
    const vec y = (vec)((bits)x | INT32_MIN);
    return choose(y > -limit, y, all(-limit));
}

/* Relative error below 5e-7 where the result is above 2e-38; below that, which is from x = -87 on, it stays there. */
INLINE vec sigmoid(vec x) {
    vec scale, rest;
    exponential(negative_magnitude(x, 87.f), &scale, &rest);
    const vec e = scale + scale * rest; /* e^-|x| <= 1 */
    return choose(x < 0.f, e, all(1.f)) / (1.f + e);
}

/* Relative error below 5e-7 everywhere: 1 - e^-2|x| never subtracts two rounded numbers that are close. */
INLINE vec hyperbolic_tangent(vec x) {
    vec scale, rest;
    exponential(2.f * negative_magnitude(x, 20.f), &scale, &rest);
    const vec magnitude = ((1.f - scale) - scale * rest) / ((1.f + scale) + scale * rest);
    return (vec)((bits)magnitude | ((bits)x & INT32_MIN));
}

/* For tests: both functions of n numbers. */
void lstm_activations(int64_t n, const float *x, float *sigmoids, float *tangents) {
    for (int64_t j = 0; j < n; j += LANES) {
        float in[LANES] = {0}, out[2][LANES];
        const size_t size = 4 * (size_t)(n - j < LANES ? n - j : LANES);
        memcpy(in, x + j, size);
        store(out[0], sigmoid(load(in)));
        store(out[1], hyperbolic_tangent(load(in)));
        memcpy(sigmoids + j, out[0], size);
        memcpy(tangents + j, out[1], size);
    }
}

/* --- What the caller asks for ------------------------------------------------------------------------------------- */

/* Numbers, and tensors by their first element; NULL where there is none. Features are contiguous; strides count floats.
 * The fields are all of 8 bytes, in the order of `Call` in native.py. */
typedef struct {
    int64_t batch, steps, inputs, units;
    int64_t repeat;  /* x is (batch, inputs), read at every step */
    int64_t reverse; /* each sequence is read from its last step to its first */
    int64_t threads;
    void (*team)(void (*)(void *), void *, unsigned, unsigned); /* runs a function in so many threads; or NULL */
    const int64_t *lengths;                                     /* (batch), or NULL: all `steps` long */
    const float *x;
    int64_t x_batch, x_time;
    const float *weight_ih, *weight_hh, *bias_ih, *bias_hh; /* (4 units, inputs), (4 units, units), (4 units) twice */
    const float *h_first, *c_first;                         /* (batch, units) */
    float *out;                                             /* (batch, steps, units) */
    int64_t out_batch, out_time;
    float *h_last, *c_last; /* (batch, units): the state after each sequence's own last step */
    float *tape;            /* what backward needs of the forward pass: `lstm_tape` floats */
    float *workspace;       /* `lstm_workspace` floats */
    /* backward only */
    const float *d_out;
    int64_t d_out_batch, d_out_time;
    const float *d_h_last, *d_c_last;
    float *d_x;
    int64_t d_x_batch, d_x_time;
    float *d_weight_ih, *d_weight_hh, *d_bias_ih, *d_bias_hh; /* d_weight_hh NULL: none of them is wanted */
    float *d_h_first, *d_c_first;
} Layer;

/* How the layer is cut up, and where everything lies. */
typedef struct {
    long tile, tiles;    /* units of a tile; tiles of the layer */
    long quad;           /* floats of a tile's four gates: 4 * tile */
    long streamed;       /* whether there is an x to read at every step */
    long rows_of_w;      /* units + inputs + 1: of h, x and the 1 */
    long width;          /* how many of these are read at every step */
    long z_stride, x_stride, dh_stride, dx_stride; /* from one sequence's row to the next */
    long block, blocks;  /* sequences of a block; blocks */
    long long_tape;      /* whether the tape is stored past the cache, and fetched ahead of its use */
    long capacity;       /* rows of z and dgates that are collected before the weights' gradients take them in */
    long workers;
    /* shared by the workers */
    float *weights;      /* [tiles][rows_of_w][quad] */
    float *back_to_h, *back_to_x; /* W_hh and W_ih in the order in which `multiply` reads them */
    float *scratch;      /* a worker's own, `scratch_size` floats each */
    long scratch_size;
} Plan;

/* A worker's own memory. */
typedef struct {
    float *z;        /* [2 or capacity][z_stride] */
    float *x;        /* [block][x_stride]: the repeated input, and the 1 */
    float *gates;    /* forward [block][quad]; backward [tiles][capacity][quad]: their gradients */
    float *constant; /* [tiles][block][quad]: a repeated input's share of the gates; backward: their summed gradient */
    float *cell;     /* [tiles][block][tile]; backward: its gradient */
    float *tanh_c;   /* [tiles][block][tile] */
    float *c_first;  /* [tiles][block][tile] */
    float *dh, *dx;  /* [block][dh_stride], [block][dx_stride] */
    float *dw;       /* [tiles][rows_of_w][quad] */
} Scratch;

INLINE long min(long a, long b) { return a < b ? a : b; }
INLINE long max(long a, long b) { return a > b ? a : b; }
INLINE long round_up(long n, long to) { return (n + to - 1) / to * to; }
INLINE void clear(float *to, long n) { memset(to, 0, sizeof *to * n); }

/* Rows an odd number of cache lines apart, so that a column of them is spread over all sets of the cache. */
static long odd_lines(long floats) { return 16 * (round_up(floats, 16) / 16 | 1); }

static float *take(float *memory, long *used, long floats) {
    float *taken = memory ? memory + *used : NULL;
    *used += round_up(floats, 16);
    return taken;
}

/* Lays out a worker's memory from `memory` on (NULL: only counts) and returns its size in floats. */
static long lay_out(const Plan *p, int backward, float *memory, Scratch *s) {
    const long units = p->tiles * p->tile;
    long used = 0;
    memset(s, 0, sizeof *s);
    s->z = take(memory, &used, (backward ? p->capacity : 2 * p->block) * p->z_stride);
    s->gates = take(memory, &used, backward ? p->tiles * p->capacity * p->quad : p->block * p->quad);
    s->cell = take(memory, &used, p->block * units);
    if (!p->streamed) {
        s->x = take(memory, &used, p->block * p->x_stride);
        s->constant = take(memory, &used, p->block * units * 4);
    }
    if (backward) {
        s->tanh_c = take(memory, &used, p->block * units);
        s->c_first = take(memory, &used, p->block * units);
        s->dh = take(memory, &used, p->block * p->dh_stride);
        s->dx = take(memory, &used, p->block * p->dx_stride);
        s->dw = take(memory, &used, p->rows_of_w * units * 4);
    }
    return used;
}

/* Numbers that a unit keeps of a step: i, f, g, o and c. */
#define TAPE 5

/* From how many floats on the tape is too long for a cache: 64 MB. */
#ifndef LONG_TAPE
#define LONG_TAPE (16 * 1024 * 1024)
#endif

static long tape_size(const Layer *l, const Plan *p) {
    return p->blocks * p->block * l->steps * p->tiles * p->tile * TAPE;
}

static long plan(const Layer *l, int backward, Plan *p) {
    memset(p, 0, sizeof *p);
    p->tile = l->units <= SMALLEST_TILE ? SMALLEST_TILE : LANES;
    p->tiles = round_up(l->units, p->tile) / p->tile;
    p->quad = 4 * p->tile;
    p->streamed = l->inputs && !l->repeat;
    p->rows_of_w = l->units + l->inputs + 1;
    p->width = p->streamed ? p->rows_of_w : l->units;
    p->z_stride = odd_lines(max(p->width, p->tiles * p->tile));
    p->x_stride = odd_lines(l->inputs + 1);
    p->dh_stride = round_up(p->tiles * p->tile, LANES);
    p->dx_stride = round_up(l->inputs, LANES);
    /* Blocks of at most 48 sequences, all of one size, as many for each thread: as large as the cache allows. */
    const long threads = max(1, min(l->threads, l->batch / 4));
    p->blocks = round_up(round_up(l->batch, 48) / 48, threads);
    p->block = round_up(round_up(l->batch, p->blocks) / p->blocks, LANES / p->tile);
    p->blocks = round_up(l->batch, p->block) / p->block;
    p->workers = min(threads, p->blocks);
    p->long_tape = tape_size(l, p) >= LONG_TAPE;
    p->capacity = p->block * max(1, min(l->steps, 128 / p->block));

    long used = 0;
    Scratch s;
    p->weights = take(l->workspace, &used, p->tiles * p->rows_of_w * p->quad);
    if (backward) {
        p->back_to_h = take(l->workspace, &used, p->tiles * p->quad * p->dh_stride);
        p->back_to_x = take(l->workspace, &used, p->tiles * p->quad * p->dx_stride);
    }
    p->scratch_size = lay_out(p, backward, NULL, &s);
    p->scratch = take(l->workspace, &used, p->workers * p->scratch_size);
    return used;
}

int64_t lstm_workspace(const Layer *l, int backward) {
    Plan p;
    return plan(l, backward, &p);
}

int64_t lstm_tape(const Layer *l) {
    Plan p;
    plan(l, 0, &p);
    return tape_size(l, &p);
}

/* --- Products ----------------------------------------------------------------------------------------------------- */

/* A matrix to be read one number at a time: its columns are cut into panels. */
typedef struct {
    const float *at;
    long row, column, panel; /* how far apart */
} Matrix;

/* to = start + a b for R rows and N vectors; see `multiply`. */
INLINE void product(const int R, const int N, long panels, long columns, Matrix a, const float *b, const float *start,
                    float *to, long to_row) {
    vec sum[ROWS][4];
    UNROLL for (int r = 0; r < R; r++)
        UNROLL for (int n = 0; n < N; n++) sum[r][n] = start ? load(start + r * to_row + n * LANES) : (vec){0};
    for (long p = 0; p < panels; p++) {
        const float *upper_rows = a.at + p * a.panel, *lower_rows = upper_rows + 3 * a.row;
        for (long k = 0; k < columns; k++, b += N * LANES, upper_rows += a.column, lower_rows += a.column) {
            vec x[ROWS];
            UNROLL for (int r = 0; r < R; r++) x[r] = all(r < 3 ? upper_rows[r * a.row] : lower_rows[(r - 3) * a.row]);
            UNROLL for (int n = 0; n < N; n++) {
                const vec v = load(b + n * LANES);
                UNROLL for (int r = 0; r < R; r++) sum[r][n] += x[r] * v;
            }
        }
    }
    UNROLL for (int r = 0; r < R; r++)
        UNROLL for (int n = 0; n < N; n++) store(to + r * to_row + n * LANES, sum[r][n]);
}

/* to[rows][vectors] = start + a b, where a has panels * columns columns and b as many rows. `start` is NULL for zeros,
 * and else laid out like `to`, with which it may be one. b lies in the order in which it is read: groups of up to 4
 * vectors, one after another; within a group, its rows.
 */
static void multiply(long rows, long vectors, long panels, long columns, Matrix a, const float *b, const float *start,
                     float *to, long to_row) {
    for (long j = 0; j < vectors; j += 4) {
        const long n = min(4, vectors - j);
        Matrix part = a;
        for (long i = 0; i < rows; i += ROWS, part.at += ROWS * a.row) {
            const long r = min(ROWS, rows - i), at = i * to_row + j * LANES;
            const float *from = start ? start + at : NULL;
            switch (4 * r + n) {
#define CASE(R, N) \
    case 4 * R + N: product(R, N, panels, columns, part, b, from, to + at, to_row); break;
#define CASES(R) CASE(R, 1) CASE(R, 2) CASE(R, 3) CASE(R, 4)
                CASES(1) CASES(2) CASES(3)
#if ROWS == 6
                CASES(4) CASES(5) CASES(6)
#endif
            }
        }
        b += panels * columns * n * LANES;
    }
}

/* --- Weights, from PyTorch's order to that of the products and back ----------------------------------------------- */

/* [tiles][rows_of_w][quad]: the rows of h, of x and of the 1, the last being the biases. */
static void pack_weights(const Layer *l, const Plan *p) {
    clear(p->weights, p->tiles * p->rows_of_w * p->quad);
    for (long gate = 0; gate < 4; gate++)
        for (long unit = 0; unit < l->units; unit++) {
            const long row = gate * l->units + unit;
            float *to = p->weights + unit / p->tile * p->rows_of_w * p->quad + gate * p->tile + unit % p->tile;
            for (long k = 0; k < l->units; k++, to += p->quad) *to = l->weight_hh[row * l->units + k];
            for (long k = 0; k < l->inputs; k++, to += p->quad) *to = l->weight_ih[row * l->inputs + k];
            if (l->bias_ih) *to = l->bias_ih[row] + l->bias_hh[row];
        }
}

/* `weight` (4 units, columns) for products of gate gradients with it: rows in the order of the gates' gradients. */
static void pack_back(const Layer *l, const Plan *p, const float *weight, long columns, float *to) {
    for (long j = 0; j < columns; j += 4 * LANES) {
        const long n = min(4 * LANES, round_up(columns - j, LANES)), real = min(n, columns - j);
        for (long u = 0; u < p->tiles; u++)
            for (long gate = 0; gate < 4; gate++)
                for (long unit = u * p->tile; unit < (u + 1) * p->tile; unit++, to += n) {
                    clear(to, n);
                    if (unit < l->units) memcpy(to, weight + (gate * l->units + unit) * columns + j, 4 * real);
                }
    }
}

/* The gradients of the weights: the workers' shares, added in the workers' order. */
static void unpack_gradients(const Layer *l, const Plan *p) {
    const long size = p->tiles * p->rows_of_w * p->quad;
    Scratch s, other;
    lay_out(p, 1, p->scratch, &s);
    for (long w = 1; w < p->workers; w++) {
        lay_out(p, 1, p->scratch + w * p->scratch_size, &other);
        for (long j = 0; j < size; j += LANES) store(s.dw + j, load(s.dw + j) + load(other.dw + j));
    }
    for (long gate = 0; gate < 4; gate++)
        for (long unit = 0; unit < l->units; unit++) {
            const long row = gate * l->units + unit;
            const float *from = s.dw + unit / p->tile * p->rows_of_w * p->quad + gate * p->tile + unit % p->tile;
            for (long k = 0; k < l->units; k++, from += p->quad) l->d_weight_hh[row * l->units + k] = *from;
            for (long k = 0; k < l->inputs; k++, from += p->quad) l->d_weight_ih[row * l->inputs + k] = *from;
            if (l->d_bias_ih) l->d_bias_ih[row] = l->d_bias_hh[row] = *from;
        }
}

/* --- The caller's tensors, row by row ----------------------------------------------------------------------------- */

INLINE long length(const Layer *l, long row) { return l->lengths ? l->lengths[row] : l->steps; }

/* The place in the tensors of a sequence's t-th step, t < length. */
INLINE long place(const Layer *l, long row, long t) { return l->reverse ? length(l, row) - 1 - t : t; }

/* to = from, and to += from, for the numbers of a row: so few that a call of memcpy would take longer. */
INLINE void copy(float *to, const float *from, long n) {
    long j = 0;
    for (; j + LANES <= n; j += LANES) store(to + j, load(from + j));
    for (; j + 4 <= n; j += 4) *(four *)(to + j) = *(const four *)(from + j);
    for (; j < n; j++) to[j] = from[j];
}

INLINE void add(float *to, const float *from, long n) {
    long j = 0;
    for (; j + LANES <= n; j += LANES) store(to + j, load(to + j) + load(from + j));
    for (; j + 4 <= n; j += 4) *(four *)(to + j) += *(const four *)(from + j);
    for (; j < n; j++) to[j] += from[j];
}

/* Asks for a row that is read a step later: rows of a batch are too far apart for the processor to guess. */
INLINE void prefetch(const float *from, long n) {
    for (long j = 0; j < n; j += 16) __builtin_prefetch(from + j);
}

/* What a sequence reads at its t-th step, and the 1; past its end, zeros: what stands there may be no number at all. */
INLINE void read_input(const Layer *l, long row, long t, float *to) {
    if (t < length(l, row))
        copy(to, l->x + row * l->x_batch + (l->repeat ? 0 : place(l, row, t) * l->x_time), l->inputs);
    else
        clear(to, l->inputs);
    to[l->inputs] = 1.f;
}

/* Zeros where a sequence has no steps. */
static void clear_padding(const Layer *l, long row, float *tensor, long batch, long time, long n) {
    for (long t = length(l, row); t < l->steps; t++) clear(tensor + row * batch + t * time, n);
}

/* Between a row of units and the tiles [tiles][rows][tile] that the elementwise part works on. */
static void to_tiles(const Plan *p, long units, const float *from, float *to, long rows, long row) {
    for (long u = 0; u < units; u += p->tile) copy(to + u * rows + row * p->tile, from + u, min(p->tile, units - u));
}

static void from_tiles(const Plan *p, long units, const float *from, long rows, long row, float *to) {
    for (long u = 0; u < units; u += p->tile) copy(to + u, from + u * rows + row * p->tile, min(p->tile, units - u));
}

/* --- Elementwise -------------------------------------------------------------------------------------------------- */

/* The vector of a tile's units in one sequence, or in this one and the next if a tile is half a vector. */
INLINE vec load_rows(const float *from, long stride, int halves) {
    return halves ? lower(load(from), load(from + stride)) : load(from);
}

INLINE void store_rows(float *to, long stride, int halves, vec v) {
    if (halves) {
        memcpy(to, &v, 2 * LANES);
        memcpy(to + stride, (const char *)&v + 2 * LANES, 2 * LANES);
    } else {
        store(to, v);
    }
}

/* Four vectors as rows of gates lie in memory <-> one vector for each gate. They differ for half vectors only, where
 * the memory holds (i f)(g o) of one sequence, then of the next. */
INLINE void gates_from_memory(vec v[4], int halves) {
    if (!halves) return;
    const vec i = lower(v[0], v[2]), f = upper(v[0], v[2]), g = lower(v[1], v[3]), o = upper(v[1], v[3]);
    v[0] = i, v[1] = f, v[2] = g, v[3] = o;
}

INLINE void gates_to_memory(vec v[4], int halves) {
    if (!halves) return;
    const vec a = lower(v[0], v[1]), b = lower(v[2], v[3]), c = upper(v[0], v[1]), d = upper(v[2], v[3]);
    v[0] = a, v[1] = b, v[2] = c, v[3] = d;
}

/* A step of one tile: gates [rows][quad] -> the new cell [rows][tile] and h (z's rows). The tape, if there is one,
 * takes i, f, g, o and c. Two loops, because h waits for c: in one, the processor runs out of independent work. */
INLINE void cells(int halves, const Plan *p, long rows, float *gates, float *cell, float *h, float *tape) {
    const long group = halves ? 2 : 1, tile = LANES / group;
    for (long row = 0; row < rows; row += group) {
        const long j = row * tile;
        vec v[4];
        UNROLL for (int k = 0; k < 4; k++) v[k] = load(gates + 4 * j + k * LANES);
        gates_from_memory(v, halves);
        const vec i = sigmoid(v[0]), f = sigmoid(v[1]), g = hyperbolic_tangent(v[2]), o = sigmoid(v[3]);
        const vec c = f * load(cell + j) + i * g;
        store(cell + j, c);
        store(gates + 4 * j, o);
        if (tape) {
            const vec kept[TAPE] = {i, f, g, o, c};
            float *to = tape + TAPE * j;
            if (p->long_tape)
                UNROLL for (int k = 0; k < TAPE; k++) stream(to + k * LANES, kept[k]);
            else
                UNROLL for (int k = 0; k < TAPE; k++) store(to + k * LANES, kept[k]);
        }
    }
    for (long row = 0; row < rows; row += group) {
        const long j = row * tile;
        const vec o = load(gates + 4 * j);
        store_rows(h + row * p->z_stride, p->z_stride, halves, o * hyperbolic_tangent(load(cell + j)));
    }
}

/* The same step backward: the gradients of h (dh's rows) and of the cell -> those of the gates and of the cell before.
 * On the way it makes again the h that the step read. `before`: the tape of the step before; NULL at the first step,
 * where c_first takes its place. `ahead`: that of the step before it, if there is one: o and c are read a step earlier
 * than i, f and g. */
INLINE void cells_backward(int halves, const Plan *p, long rows, const float *tape, const float *before,
                           const float *ahead, const float *c_first, const float *dh, float *d_cell, float *tanh_c,
                           float *d_gates, float *sum, float *h_before) {
    const long group = halves ? 2 : 1, tile = LANES / group;
    for (long row = 0; row < rows; row += group) {
        const long j = row * tile;
        const vec i = load(tape + TAPE * j), f = load(tape + TAPE * j + LANES), g = load(tape + TAPE * j + 2 * LANES),
                  o = load(tape + TAPE * j + 3 * LANES), tc = load(tanh_c + j);
        const vec c_before = before ? load(before + TAPE * j + 4 * LANES) : load(c_first + j);
        if (p->long_tape && ahead)
            UNROLL for (int k = 0; k < TAPE; k++)
                __builtin_prefetch((k < 3 ? before : ahead) + TAPE * j + k * LANES, 0, 2);
        const vec d_h = load_rows(dh + row * p->dh_stride, p->dh_stride, halves);
        const vec d_c = load(d_cell + j) + d_h * o * (1.f - tc * tc);
        vec d[4] = {d_c * g * i * (1.f - i), d_c * c_before * f * (1.f - f), d_c * i * (1.f - g * g),
                    d_h * tc * o * (1.f - o)};
        store(d_cell + j, d_c * f);
        gates_to_memory(d, halves);
        UNROLL for (int k = 0; k < 4; k++) {
            const long at = 4 * j + k * LANES;
            store(d_gates + at, d[k]);
            if (sum) store(sum + at, load(sum + at) + d[k]);
        }
        if (before) {
            const vec o_before = load(before + TAPE * j + 3 * LANES), tc_before = hyperbolic_tangent(c_before);
            store(tanh_c + j, tc_before);
            store_rows(h_before + row * p->z_stride, p->z_stride, halves, o_before * tc_before);
        }
    }
}

/* --- Blocks ------------------------------------------------------------------------------------------------------- */

typedef struct {
    long first, real; /* sequences: the first one, and how many */
    long rows;        /* as many, rounded up to what the elementwise part takes at a time */
    long steps;       /* of the longest sequence */
} Block;

static Block block_number(const Layer *l, const Plan *p, long number) {
    Block b = {.first = number * p->block};
    b.real = min(p->block, l->batch - b.first);
    b.rows = round_up(b.real, LANES / p->tile);
    for (long row = 0; row < b.real; row++) b.steps = max(b.steps, length(l, b.first + row));
    return b;
}

/* The repeated inputs, and the 1, into s->x. */
static void read_repeated(const Layer *l, const Plan *p, const Scratch *s, Block b) {
    clear(s->x, b.rows * p->x_stride);
    for (long row = 0; row < b.real; row++) read_input(l, b.first + row, 0, s->x + row * p->x_stride);
}

/* --- Forward ------------------------------------------------------------------------------------------------------ */

/* What leaves the layer after step t: states, and the last state of sequences that end here. */
static void write_states(const Layer *l, const Plan *p, const Scratch *s, Block b, long t, const float *h) {
    for (long row = 0; row < b.real; row++, h += p->z_stride) {
        const long of = b.first + row, left = length(l, of) - t;
        if (left > 0 && l->out) copy(l->out + of * l->out_batch + place(l, of, t) * l->out_time, h, l->units);
        if (left == 1) {
            copy(l->h_last + of * l->units, h, l->units);
            from_tiles(p, l->units, s->cell, b.rows, row, l->c_last + of * l->units);
        }
    }
}

static void forward_block(const Layer *l, const Plan *p, const Scratch *s, long number) {
    const Block b = block_number(l, p, number);
    const long vectors = p->quad / LANES, tape_step = b.rows * p->tiles * p->tile * TAPE;
    float *tape = l->tape ? l->tape + b.first * l->steps * p->tiles * p->tile * TAPE : NULL;
    clear(s->z, 2 * p->block * p->z_stride);
    clear(s->cell, p->tiles * b.rows * p->tile);
    for (long row = 0; row < b.real; row++) {
        if (l->h_first) copy(s->z + row * p->z_stride, l->h_first + (b.first + row) * l->units, l->units);
        if (l->c_first) to_tiles(p, l->units, l->c_first + (b.first + row) * l->units, s->cell, b.rows, row);
    }
    if (!p->streamed) read_repeated(l, p, s, b);
    for (long u = 0; u < p->tiles && !p->streamed; u++)
        multiply(b.rows, vectors, 1, l->inputs + 1, (Matrix){s->x, p->x_stride, 1, 0},
                 p->weights + (u * p->rows_of_w + l->units) * p->quad, NULL, s->constant + u * b.rows * p->quad,
                 p->quad);

    for (long t = 0; t < b.steps; t++) {
        float *now = s->z + t % 2 * p->block * p->z_stride, *next = s->z + (t + 1) % 2 * p->block * p->z_stride;
        const long skipped = t == 0 && !l->h_first ? l->units : 0; /* a state of zeros adds nothing */
        for (long row = 0; row < b.real && p->streamed; row++) /* after h, whose last tile may reach into x */
            read_input(l, b.first + row, t, now + row * p->z_stride + l->units);
        for (long u = 0; u < p->tiles; u++) {
            const long at = u * b.rows * p->tile;
            multiply(b.rows, vectors, 1, p->width - skipped, (Matrix){now + skipped, p->z_stride, 1, 0},
                     p->weights + (u * p->rows_of_w + skipped) * p->quad, p->streamed ? NULL : s->constant + 4 * at,
                     s->gates, p->quad);
            float *kept = tape ? tape + t * tape_step + TAPE * at : NULL;
            if (p->tile == LANES)
                cells(0, p, b.rows, s->gates, s->cell + at, next + u * p->tile, kept);
            else
                cells(1, p, b.rows, s->gates, s->cell + at, next + u * p->tile, kept);
        }
        write_states(l, p, s, b, t, next);
    }
    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* another thread may go back: it shall find all that was streamed */
    for (long row = b.first; row < b.first + b.real && l->out; row++)
        clear_padding(l, row, l->out, l->out_batch, l->out_time, l->units);
}

/* --- Backward ----------------------------------------------------------------------------------------------------- */

/* What arrives at step t from outside: gradients of its states, and of the last state of sequences that end here. */
static void read_gradients(const Layer *l, const Plan *p, const Scratch *s, Block b, long t) {
    for (long row = 0; row < b.real; row++) {
        const long of = b.first + row, left = length(l, of) - t;
        const float *d_out = l->d_out ? l->d_out + of * l->d_out_batch : NULL;
        float *dh = s->dh + row * p->dh_stride;
        if (left == 1 && l->d_h_last) add(dh, l->d_h_last + of * l->units, l->units);
        if (left == 1 && l->d_c_last) to_tiles(p, l->units, l->d_c_last + of * l->units, s->cell, b.rows, row);
        if (left > 0 && d_out) add(dh, d_out + place(l, of, t) * l->d_out_time, l->units);
        if (left >= 0 && d_out && t > 0) prefetch(d_out + place(l, of, t - 1) * l->d_out_time, l->units);
    }
}

/* x and the 1, and at the first step h, for the weights' gradients; the h of all other steps is there already. */
static void read_again(const Layer *l, const Plan *p, Block b, long t, float *z) {
    for (long row = 0; row < b.real; row++, z += p->z_stride) {
        if (t == 0 && l->h_first) copy(z, l->h_first + (b.first + row) * l->units, l->units);
        if (t == 0 && !l->h_first) clear(z, l->units);
        if (p->streamed) read_input(l, b.first + row, t, z + l->units);
    }
}

/* The gradients of x at step t, or of the repeated x: those of the gates times W_ih. */
static void write_dx(const Layer *l, const Plan *p, const Scratch *s, Block b, long t, Matrix d_gates) {
    multiply(b.rows, p->dx_stride / LANES, p->tiles, p->quad, d_gates, p->back_to_x, NULL, s->dx, p->dx_stride);
    for (long row = 0; row < b.real; row++) {
        const long of = b.first + row;
        if (t < length(l, of))
            copy(l->d_x + of * l->d_x_batch + (l->repeat ? 0 : place(l, of, t) * l->d_x_time),
                 s->dx + row * p->dx_stride, l->inputs);
    }
}

/* Takes `rows` rows of z, or of the repeated x, and of their gates' gradients into the gradients of the weights. */
static void add_to_dw(const Plan *p, const Scratch *s, long first_of_w, long rows_of_w, long rows, Matrix transposed,
                      const float *d_gates, long panel) {
    for (long u = 0; u < p->tiles; u++) {
        float *dw = s->dw + (u * p->rows_of_w + first_of_w) * p->quad;
        multiply(rows_of_w, p->quad / LANES, 1, rows, transposed, d_gates + u * panel, dw, dw, p->quad);
    }
}

static void backward_block(const Layer *l, const Plan *p, const Scratch *s, long number) {
    const Block b = block_number(l, p, number);
    const long tape_step = b.rows * p->tiles * p->tile * TAPE, panel = p->capacity * p->quad;
    const float *tape = l->tape + b.first * l->steps * p->tiles * p->tile * TAPE;
    clear(s->z, p->capacity * p->z_stride);
    clear(s->cell, p->tiles * b.rows * p->tile);
    clear(s->c_first, p->tiles * b.rows * p->tile);
    clear(s->dh, b.rows * p->dh_stride);
    if (!p->streamed) clear(s->constant, p->tiles * b.rows * p->quad);
    for (long row = 0; row < b.real && l->c_first; row++)
        to_tiles(p, l->units, l->c_first + (b.first + row) * l->units, s->c_first, b.rows, row);
    for (long j = 0; j < p->tiles * b.rows * p->tile; j += LANES)
        store(s->tanh_c + j, hyperbolic_tangent(load(tape + (b.steps - 1) * tape_step + TAPE * j + 4 * LANES)));

    long filled = 0; /* rows of z and of the gates' gradients that wait to enter the weights' gradients */
    for (long t = b.steps - 1; t >= 0; t--) {
        read_gradients(l, p, s, b, t);
        float *z = s->z + filled * p->z_stride, *d_gates = s->gates + filled * p->quad;
        for (long u = 0; u < p->tiles; u++) {
            const long at = u * b.rows * p->tile;
            const float *now = tape + t * tape_step + TAPE * at, *before = t ? now - tape_step : NULL,
                        *ahead = t > 1 ? before - tape_step : NULL;
            float *sum = p->streamed ? NULL : s->constant + 4 * at;
            if (p->tile == LANES)
                cells_backward(0, p, b.rows, now, before, ahead, s->c_first + at, s->dh + u * p->tile, s->cell + at,
                               s->tanh_c + at, d_gates + u * panel, sum, z + u * p->tile);
            else
                cells_backward(1, p, b.rows, now, before, ahead, s->c_first + at, s->dh + u * p->tile, s->cell + at,
                               s->tanh_c + at, d_gates + u * panel, sum, z + u * p->tile);
        }
        read_again(l, p, b, t, z);
        filled += b.rows;
        const Matrix gradients = {d_gates, p->quad, 1, panel};
        if (t || l->d_h_first)
            multiply(b.rows, p->dh_stride / LANES, p->tiles, p->quad, gradients, p->back_to_h, NULL, s->dh,
                     p->dh_stride);
        if (p->streamed && l->d_x) write_dx(l, p, s, b, t, gradients);
        if (!l->d_weight_hh) {
            filled = 0;
        } else if (t == 0 || filled + b.rows > p->capacity) {
            add_to_dw(p, s, 0, p->width, filled, (Matrix){s->z, 1, p->z_stride, 0}, s->gates, panel);
            filled = 0;
        }
    }

    if (!p->streamed) {
        const long sums = b.rows * p->quad;
        if (l->d_weight_hh) {
            read_repeated(l, p, s, b);
            add_to_dw(p, s, l->units, l->inputs + 1, b.rows, (Matrix){s->x, 1, p->x_stride, 0}, s->constant, sums);
        }
        if (l->d_x) write_dx(l, p, s, b, 0, (Matrix){s->constant, p->quad, 1, sums});
    }
    for (long row = 0; row < b.real; row++) {
        const long of = b.first + row;
        if (l->d_h_first) copy(l->d_h_first + of * l->units, s->dh + row * p->dh_stride, l->units);
        if (l->d_c_first) from_tiles(p, l->units, s->cell, b.rows, row, l->d_c_first + of * l->units);
        if (p->streamed && l->d_x) clear_padding(l, of, l->d_x, l->d_x_batch, l->d_x_time, l->inputs);
    }
}

/* --- Threads ------------------------------------------------------------------------------------------------------ */

typedef struct {
    const Layer *layer;
    const Plan *plan;
    int backward;
    long next; /* the worker that nobody is yet */
} Job;

/* Be one worker after another, until all of them have been. A worker's blocks are fixed by its number, whatever thread
 * it happens to be: the same number of workers adds up the same numbers in the same order. */
static void work(void *argument) {
    Job *job = argument;
    const Plan *p = job->plan;
    for (long w; (w = __atomic_fetch_add(&job->next, 1, __ATOMIC_RELAXED)) < p->workers;) {
        Scratch s;
        lay_out(p, job->backward, p->scratch + w * p->scratch_size, &s);
        if (job->backward) clear(s.dw, p->tiles * p->rows_of_w * p->quad);
        for (long block = w; block < p->blocks; block += p->workers)
            (job->backward ? backward_block : forward_block)(job->layer, p, &s, block);
    }
}

static void *work_in_thread(void *job) { return work(job), NULL; }

/* The caller's own threads where it has some: a second set beside them would fight with the first for the cores. */
static void run(const Layer *l, const Plan *p, int backward) {
    Job job = {l, p, backward, 0};
    if (p->workers == 1) {
        work(&job);
    } else if (l->team) {
        l->team(work, &job, (unsigned)p->workers, 0);
    } else {
        pthread_t threads[64];
        long started = 0;
        while (started < min(64, p->workers - 1) && !pthread_create(threads + started, NULL, work_in_thread, &job))
            started++;
        work(&job);
        while (started) pthread_join(threads[--started], NULL);
    }
}

/* --- Entry points ------------------------------------------------------------------------------------------------- */

/* Returns 0, or 1 if a length is not one of 1 to `steps`. */
int lstm_forward(const Layer *l) {
    Plan p;
    for (long row = 0; row < l->batch; row++)
        if (length(l, row) < 1 || length(l, row) > l->steps) return 1;
    plan(l, 0, &p);
    pack_weights(l, &p);
    run(l, &p, 0);
    return 0;
}

void lstm_backward(const Layer *l) {
    Plan p;
    plan(l, 1, &p);
    pack_back(l, &p, l->weight_hh, l->units, p.back_to_h);
    if (l->d_x) pack_back(l, &p, l->weight_ih, l->inputs, p.back_to_x);
    run(l, &p, 1);
    if (l->d_weight_hh) unpack_gradients(l, &p);
}

int lstm_lanes(void) { return LANES; }
