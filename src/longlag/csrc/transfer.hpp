// Between PyTorch's tensors (feature by feature, sample by sample) and the kernels' matrices.

#pragma once

#include "lanes.hpp"

namespace longlag::LONGLAG_ISA {

// Feature j of a tensor whose first `cells` features are cells, in the kernels' order and in PyTorch's: the kernels
// count the blocks within a place, PyTorch the places within a block. The other features have the same place in both.
struct Order {
    Index cells, block_size, blocks;

    bool plain() const { return block_size == 1 || cells == 0; }
    Index operator()(Index j) const { return j < cells ? j % blocks * block_size + j / blocks : j; }

    // f(here, there) for each of `count` features, all cells among them or none: its place in a matrix and in a tensor.
    template <class F>
    LONGLAG_INLINE void each(Index count, F f) const {
        Index here = 0;
        if (!plain() && count >= cells) {
            for (Index place = 0; place < block_size; ++place) {
                for (Index there = place; there < cells; there += block_size) f(here++, there);
            }
        }
        for (; here < count; ++here) f(here, here);
    }
};

// One sample's features into (or, with Add, onto) column s of `to`.
template <class T, class L, bool Add = false>
LONGLAG_INLINE void read_row(const T* row, Index feature, Matrix<L> to, Index count, Index s, Order order) {
    T* p = to(0, s);
    const auto put = [](T& at, T value) { at = Add ? at + value : value; };
    if (order.plain() && feature == 1) {
        for (Index j = 0; j < count; ++j) put(p[j * Matrix<L>::unit_stride], row[j]);
    } else {
        order.each(count, [&](Index here, Index there) {
            put(p[here * Matrix<L>::unit_stride], row[there * feature]);
        });
    }
}

template <class T, class L>
LONGLAG_INLINE void write_row(Matrix<L> from, T* row, Index count, Index s, Order order) {
    const T* p = from(0, s);
    if (order.plain()) {
        for (Index j = 0; j < count; ++j) row[j] = p[j * Matrix<L>::unit_stride];
    } else {
        order.each(count, [&](Index here, Index there) { row[there] = p[here * Matrix<L>::unit_stride]; });
    }
}

template <class T>
struct Integers {
    typedef typename Simd<T>::integer four __attribute__((vector_size(4 * sizeof(T))));
};

// Four samples of four features each, at once.
template <class T>
struct Quad {
    typedef T vector __attribute__((vector_size(4 * sizeof(T))));
    typedef T loose __attribute__((vector_size(4 * sizeof(T)), aligned(sizeof(T)), may_alias));

    static LONGLAG_INLINE vector load(const T* p) { return *reinterpret_cast<const loose*>(p); }
    static LONGLAG_INLINE void store(T* p, vector v) { *reinterpret_cast<loose*>(p) = v; }

    static LONGLAG_INLINE void transpose(vector (&r)[4]) {
#if defined(__clang__)
#define LONGLAG_SHUFFLE(a, b, i, j, k, l) __builtin_shufflevector(a, b, i, j, k, l)
#else
#define LONGLAG_SHUFFLE(a, b, i, j, k, l) __builtin_shuffle(a, b, typename Integers<T>::four{i, j, k, l})
#endif
        const vector ab_low = LONGLAG_SHUFFLE(r[0], r[1], 0, 4, 1, 5), ab_high = LONGLAG_SHUFFLE(r[0], r[1], 2, 6, 3, 7);
        const vector cd_low = LONGLAG_SHUFFLE(r[2], r[3], 0, 4, 1, 5), cd_high = LONGLAG_SHUFFLE(r[2], r[3], 2, 6, 3, 7);
        r[0] = LONGLAG_SHUFFLE(ab_low, cd_low, 0, 1, 4, 5);
        r[1] = LONGLAG_SHUFFLE(ab_low, cd_low, 2, 3, 6, 7);
        r[2] = LONGLAG_SHUFFLE(ab_high, cd_high, 0, 1, 4, 5);
        r[3] = LONGLAG_SHUFFLE(ab_high, cd_high, 2, 3, 6, 7);
#undef LONGLAG_SHUFFLE
    }
};

// Four rows of features into four neighbouring lanes of `to`.
template <class T, class L, bool Add>
LONGLAG_INLINE void read_four(const T* const (&row)[4], Matrix<L> to, Index count, Index s) {
    using Q = Quad<T>;
    const auto put = [](T* p, typename Q::vector v) { Q::store(p, Add ? Q::load(p) + v : v); };
    Index j = 0;
    for (; j + 4 <= count; j += 4) {
        typename Q::vector r[4] = {Q::load(row[0] + j), Q::load(row[1] + j), Q::load(row[2] + j), Q::load(row[3] + j)};
        Q::transpose(r);
        for (int k = 0; k < 4; ++k) put(to(j + k, s), r[k]);
    }
    for (; j < count; ++j) put(to(j, s), typename Q::vector{row[0][j], row[1][j], row[2][j], row[3][j]});
}

template <class T, class L>
LONGLAG_INLINE void write_four(Matrix<L> from, T* const (&row)[4], Index count, Index s) {
    using Q = Quad<T>;
    Index j = 0;
    for (; j + 4 <= count; j += 4) {
        typename Q::vector r[4];
        for (int k = 0; k < 4; ++k) r[k] = Q::load(from(j + k, s));
        Q::transpose(r);
        for (int k = 0; k < 4; ++k) Q::store(row[k] + j, r[k]);
    }
    for (; j < count; ++j) {
        for (int k = 0; k < 4; ++k) row[k][j] = *from(j, s + k);
    }
}

// Step t of a tensor, the tile's first `live` samples, into `to`. Lanes of a vector that have no sample become zero.
template <class T, class L, bool Add = false>
void read(const Strided<const T>& tensor, Index t, const Tile& tile, Index live, Matrix<L> to, Index count,
          Order order) {
    Index s = 0;
    if (L::samples_in_lanes && order.plain() && tensor.feature == 1) {
        for (; s + 4 <= live; s += 4) {
            const T* const row[4] = {tensor.at(t, tile.sample[s]), tensor.at(t, tile.sample[s + 1]),
                                     tensor.at(t, tile.sample[s + 2]), tensor.at(t, tile.sample[s + 3])};
            read_four<T, L, Add>(row, to, count, s);
        }
    }
    for (; s < live; ++s) read_row<T, L, Add>(tensor.at(t, tile.sample[s]), tensor.feature, to, count, s, order);
    if constexpr (L::samples_in_lanes && !Add) {
        for (Index j = 0; j < count; ++j) {
            for (Index idle = live; idle < round_up(live, lanes<T>); ++idle) *to(j, idle) = 0;
        }
    }
}

// The other way; `tensor` is contiguous, (steps, samples, features).
template <class T, class L>
void write(Matrix<L> from, T* tensor, Index samples, Index features, Index t, const Tile& tile, Index live,
           Order order) {
    T* const step = tensor + t * samples * features;
    Index s = 0;
    if (L::samples_in_lanes && order.plain()) {
        for (; s + 4 <= live; s += 4) {
            T* const row[4] = {step + tile.sample[s] * features, step + tile.sample[s + 1] * features,
                               step + tile.sample[s + 2] * features, step + tile.sample[s + 3] * features};
            write_four<T, L>(from, row, features, s);
        }
    }
    for (; s < live; ++s) write_row<T, L>(from, step + tile.sample[s] * features, features, s, order);
}

}  // namespace longlag::LONGLAG_ISA
