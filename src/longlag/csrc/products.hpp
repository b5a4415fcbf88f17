// Matrix products. One register block serves all of them: M rows whose entries are broadcast, N vectors of columns,
// sums kept in registers over the whole depth. The weights alone are packed, once per call. `longlag bench cpu` prints
// the speed of the layers beside that of PyTorch's products.

#pragma once

#include <type_traits>

#include "lanes.hpp"

namespace longlag::LONGLAG_ISA {

// As many sums as the registers hold beside the operands, and enough to hide the latency of an FMA.
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int block_rows = 4, block_vectors = 4, panel_rows = 4;
#else
constexpr int block_rows = 4, block_vectors = 2, panel_rows = 4;
#endif

// c[m][n] = (or +=) sum over k of a(m, k) * b[k * ldb + n], for M rows and N vectors, the last one of `tail` columns.
template <class T, int M, int N, bool Add, class A>
LONGLAG_INLINE void block(A a, const T* b, Index ldb, Index depth, T* c, Index ldc, Index tail) {
    constexpr Index V = lanes<T>;
    constexpr int ways = M * N < 8 ? 2 : 1;  // too few sums to hide an FMA's latency: take two terms of each at a time
    vec<T> sums[ways][M][N];
#pragma GCC unroll 16
    for (int m = 0; m < M; ++m) {
#pragma GCC unroll 16
        for (int n = 0; n < N; ++n) {
            sums[0][m][n] = Add ? load(c + m * ldc + n * V) : vec<T>{};
            if (ways > 1) sums[ways - 1][m][n] = vec<T>{};
        }
    }
    const auto term = [&](Index k, vec<T>(&into)[M][N]) __attribute__((always_inline)) {
        vec<T> row[N];
#pragma GCC unroll 16
        for (int n = 0; n < N; ++n) row[n] = load(b + k * ldb + n * V);
#pragma GCC unroll 16
        for (int m = 0; m < M; ++m) {
            const T x = a(m, k);
#pragma GCC unroll 16
            for (int n = 0; n < N; ++n) into[m][n] += x * row[n];
        }
    };
    Index k = 0;
    for (; k + ways <= depth; k += ways) {
#pragma GCC unroll 2
        for (int way = 0; way < ways; ++way) term(k + way, sums[way]);
    }
    if (k < depth) term(k, sums[0]);
    if (ways > 1) {
#pragma GCC unroll 16
        for (int m = 0; m < M; ++m) {
#pragma GCC unroll 16
            for (int n = 0; n < N; ++n) sums[0][m][n] += sums[ways - 1][m][n];
        }
    }
#pragma GCC unroll 16
    for (int m = 0; m < M; ++m) {
#pragma GCC unroll 16
        for (int n = 0; n < N - 1; ++n) store(c + m * ldc + n * V, sums[0][m][n]);
        if (tail == V) {
            store(c + m * ldc + (N - 1) * V, sums[0][m][N - 1]);
        } else {
            store_first(c + m * ldc + (N - 1) * V, sums[0][m][N - 1], tail);
        }
    }
}

// f(constant) for the constant among 1..Max that equals n.
template <int Max, class F>
LONGLAG_INLINE void with_count(Index n, F f) {
    if constexpr (Max > 1) {
        if (n < Max) return with_count<Max - 1>(n, f);
    }
    f(std::integral_constant<int, Max>{});
}

// All rows m < rows of c from a(m, k), columns in panels of block_vectors vectors: panel(first column) gives its
// operand and distance between rows.
template <class T, bool Add, class A, class P>
LONGLAG_INLINE void product(A a, Index rows, P panel, Index depth, T* c, Index ldc, Index columns) {
    constexpr Index V = lanes<T>, wide = block_vectors * V;
    for (Index n = 0; n < columns; n += wide) {
        const Index vectors = smaller(block_vectors, (columns - n + V - 1) / V);
        const Index tail = smaller(V, columns - n - (vectors - 1) * V);
        const auto operand = panel(n, vectors);
        with_count<block_vectors>(vectors, [&](auto N) {
            constexpr int height = N.value * 2 <= block_vectors ? 2 * block_rows : block_rows;
            Index m = 0;
            for (; m + height <= rows; m += height) {
                block<T, height, N.value, Add>([&](Index r, Index k) { return a(m + r, k); }, operand.at,
                                               operand.distance, depth, c + m * ldc + n, ldc, tail);
            }
            if (m < rows) {
                with_count<height - 1>(rows - m, [&](auto M) {
                    block<T, M.value, N.value, Add>([&](Index r, Index k) { return a(m + r, k); }, operand.at,
                                                    operand.distance, depth, c + m * ldc + n, ldc, tail);
                });
            }
        });
    }
}

template <class T>
struct Operand {
    const T* at;
    Index distance;
};

// Weights w[depth][columns] as a product reads them: panels of columns, each contiguous, the last one padded.
template <class T, class L>
struct Packed {
    static constexpr Index panel = L::samples_in_lanes ? panel_rows : block_vectors * lanes<T>;

    static Index size(Index depth, Index columns) {
        return depth * round_up(columns, L::samples_in_lanes ? 1 : lanes<T>) + lanes<T>;
    }

    // column(n) is called once for each column, with n rising, and puts weight k at place(k) for every k.
    template <class F>
    static void pack(Index depth, Index columns, T* to, F column) {
        for (Index n = 0; n < columns; n += panel) {
            const Index real = smaller(panel, columns - n);
            const Index width = L::samples_in_lanes ? real : round_up(real, lanes<T>);
            for (Index j = 0; j < real; ++j) {
                column(n + j, [=](Index k) -> T& { return to[k * width + j]; });
            }
            for (Index j = real; j < width; ++j) {
                for (Index k = 0; k < depth; ++k) to[k * width + j] = 0;
            }
            to += depth * width;
        }
    }
};

// c(column, sample) = (or +=) sum over k of w(k, column) x(k, sample)
template <class T, class L, bool Add = false>
void multiply(const T* packed, Index depth, Index columns, Matrix<L> x, Matrix<L> c, Index live, UnitsInLanes<T>) {
    constexpr Index V = lanes<T>;
    const T* source = x.at;
    const Index distance = x.distance;
    product<T, Add>([=](Index s, Index k) { return source[s * distance + k]; }, live,
                      [=](Index n, Index vectors) { return Operand<T>{packed + n * depth, vectors * V}; }, depth, c.at,
                      c.distance, columns);
}

template <class T, class L, bool Add = false>
void multiply(const T* packed, Index depth, Index columns, Matrix<L> x, Matrix<L> c, Index live, SamplesInLanes<T>) {
    constexpr Index V = lanes<T>, tile = SamplesInLanes<T>::tile;
    with_count<tile / V>((live + V - 1) / V, [&](auto N) {
        Index m = 0;
        for (; m + panel_rows <= columns; m += panel_rows) {
            const T* w = packed + m * depth;
            block<T, panel_rows, N.value, Add>([=](Index r, Index k) { return w[k * panel_rows + r]; }, x.at, tile,
                                               depth, c.at + m * tile, tile, V);
        }
        if (m < columns) {
            with_count<panel_rows>(columns - m, [&](auto M) {
                const T* w = packed + m * depth;
                constexpr int rows = M.value;
                block<T, rows, N.value, Add>([=](Index r, Index k) { return w[k * rows + r]; }, x.at, tile, depth,
                                             c.at + m * tile, tile, V);
            });
        }
    });
}

// ---------------------------------------------------------------- sums over samples and steps: 2013 eq. 18

// total(m, n) += sum over steps and samples of a(m) b(n), over `count` rows of both (units in lanes), or over `count`
// steps of `vectors` vectors (samples in lanes). lda and ldb: elements from one row or step to the next.
template <class T>
struct Sums {
    // units in lanes: [m][spaced n]
    static Index size(Index m, Index n, UnitsInLanes<T>) { return m * UnitsInLanes<T>::spaced(n); }
    static T at(const T* sums, Index n, Index row, Index column, UnitsInLanes<T>) {
        return sums[row * UnitsInLanes<T>::spaced(n) + column];
    }
    static T own(const T* sums, Index n, Index row, Index column, Index, UnitsInLanes<T>) {
        return at(sums, n, row, column, UnitsInLanes<T>{});
    }
    static void add(const T* a, Index lda, Index m, const T* b, Index ldb, Index n, Index count, Index, T* sums,
                    UnitsInLanes<T>) {
        product<T, true>([=](Index r, Index k) { return a[k * lda + r]; }, m,
                         [=](Index first, Index) { return Operand<T>{b + first, ldb}; }, count, sums,
                         UnitsInLanes<T>::spaced(n), n);
    }
    // total(m) += sum of a(m)
    static void add(const T* a, Index lda, Index m, Index count, Index, T* sums, UnitsInLanes<T>) {
        UnitsInLanes<T>::each(m, 1, [&](Index u, Index, auto n) {
            vec<T> total = load(sums + u);
            for (Index k = 0; k < count; ++k) total += load(a + k * lda + u);
            UnitsInLanes<T>::put(sums + u, total, n);
        });
    }

    // samples in lanes: [m][n][V], one sum per lane
    static Index size(Index m, Index n, SamplesInLanes<T>) { return m * n * lanes<T>; }
    static T at(const T* sums, Index n, Index row, Index column, SamplesInLanes<T>) {
        return sum<T>(load(sums + (row * n + column) * lanes<T>));
    }
    static T own(const T* sums, Index n, Index row, Index column, Index sample, SamplesInLanes<T>) {
        return sums[(row * n + column) * lanes<T> + sample % lanes<T>];
    }
    static void add(const T* a, Index lda, Index m, const T* b, Index ldb, Index n, Index count, Index vectors, T* sums,
                    SamplesInLanes<T>) {
        constexpr Index tile = SamplesInLanes<T>::tile, V = lanes<T>;
        for (Index r = 0; r < m; r += 4) {
            with_count<4>(smaller(4, m - r), [&](auto M) {
                for (Index c = 0; c < n; c += 4) {
                    with_count<4>(smaller(4, n - c), [&](auto N) {
                        outer<M.value, N.value>(a + r * tile, lda, b + c * tile, ldb, count, vectors,
                                                sums + (r * n + c) * V, n);
                    });
                }
            });
        }
    }
    static void add(const T* a, Index lda, Index m, Index count, Index vectors, T* sums, SamplesInLanes<T>) {
        constexpr Index tile = SamplesInLanes<T>::tile, V = lanes<T>;
        for (Index r = 0; r < m; ++r) {
            vec<T> total = load(sums + r * V);
            for (Index k = 0; k < count; ++k) {
                for (Index v = 0; v < vectors; ++v) total += load(a + k * lda + r * tile + v * V);
            }
            store(sums + r * V, total);
        }
    }

private:
    template <int M, int N>
    static void outer(const T* a, Index lda, const T* b, Index ldb, Index count, Index vectors, T* sums, Index n) {
        constexpr Index V = lanes<T>, tile = SamplesInLanes<T>::tile;
        vec<T> block[M][N];
#pragma GCC unroll 4
        for (int r = 0; r < M; ++r) {
#pragma GCC unroll 4
            for (int c = 0; c < N; ++c) block[r][c] = load(sums + (r * n + c) * V);
        }
        for (Index k = 0; k < count; ++k) {
            for (Index v = 0; v < vectors; ++v) {
                vec<T> right[N];
#pragma GCC unroll 4
                for (int c = 0; c < N; ++c) right[c] = load(b + k * ldb + c * tile + v * V);
#pragma GCC unroll 4
                for (int r = 0; r < M; ++r) {
                    const vec<T> left = load(a + k * lda + r * tile + v * V);
#pragma GCC unroll 4
                    for (int c = 0; c < N; ++c) block[r][c] += left * right[c];
                }
            }
        }
#pragma GCC unroll 4
        for (int r = 0; r < M; ++r) {
#pragma GCC unroll 4
            for (int c = 0; c < N; ++c) store(sums + (r * n + c) * V, block[r][c]);
        }
    }
};

}  // namespace longlag::LONGLAG_ISA
