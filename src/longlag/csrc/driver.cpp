#include "driver.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <numeric>

#include <sys/mman.h>

#if defined(_OPENMP)
#include <omp.h>
#endif

namespace longlag {

namespace {

// Below so many multiplications a second thread costs more than it saves.
constexpr double worth_a_thread = 4e5;
// Bytes that all groups of tiles together may use for their sums.
constexpr Index sums_budget = Index{64} << 20;

Index this_thread() {
#if defined(_OPENMP)
    return omp_get_thread_num();
#else
    return 0;
#endif
}

// Asks for pages of 2 MB for memory that is about to be written for the first time, where the system has such pages:
// each of them saves 511 page faults.
void in_large_pages(void* start, std::size_t bytes) {
#if defined(MADV_HUGEPAGE)
    constexpr std::uintptr_t page = std::uintptr_t{1} << 21;
    const std::uintptr_t first = (reinterpret_cast<std::uintptr_t>(start) + page - 1) / page * page;
    const std::uintptr_t last = (reinterpret_cast<std::uintptr_t>(start) + bytes) / page * page;
    if (last > first) madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);
#else
    (void)start, (void)bytes;
#endif
}

// Memory on cache line boundaries. It is not cleared: the kernels must not depend on its contents. A thread keeps a few
// small buffers for its next call, because the system hands out pages and clears each of them.
template <class T>
class Buffer {
public:
    explicit Buffer(Index elements) : bytes_((elements * sizeof(T) + 127) / 64 * 64) {
        for (Shelved& place : shelf()) {
            if (place.at && place.bytes >= bytes_ && place.bytes <= 4 * bytes_) {
                std::swap(at_, place.at);
                bytes_ = place.bytes;
                return;
            }
        }
        at_.reset(std::aligned_alloc(64, bytes_));
        if (!at_) throw std::bad_alloc();
        in_large_pages(at_.get(), bytes_);
    }
    ~Buffer() {
        if (bytes_ > largest_shelved) return;
        for (Shelved& place : shelf()) {
            if (!place.at) {
                std::swap(at_, place.at);
                place.bytes = bytes_;
                return;
            }
        }
        std::swap(at_, shelf()[next_++ % shelf_size].at);
        shelf()[(next_ - 1) % shelf_size].bytes = bytes_;
    }
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;

    T* get() const { return static_cast<T*>(at_.get()); }

private:
    static constexpr std::size_t largest_shelved = std::size_t{1} << 20, shelf_size = 6;
    struct Free {
        void operator()(void* p) const { std::free(p); }
    };
    using Memory = std::unique_ptr<void, Free>;
    struct Shelved {
        Memory at;
        std::size_t bytes = 0;
    };
    static std::array<Shelved, shelf_size>& shelf() {
        static thread_local std::array<Shelved, shelf_size> places;
        return places;
    }
    static inline thread_local std::size_t next_ = 0;

    std::size_t bytes_;
    Memory at_;
};

// The batch in tiles: longest sequences first, so that a tile's samples end together; equal ones keep their order.
class Tiles {
public:
    template <class T>
    Tiles(const Job<T>& job, const Kernels<T>& k)
        : Tiles(job.samples, job.steps, job.lengths, k.tile(job.samples), k.tape_lanes) {}
    Index count() const { return static_cast<Index>(tiles_.size()); }
    const Tile& operator[](Index k) const { return tiles_[k]; }

private:
    Tiles(Index samples, Index steps, const Index* lengths, Index tile, Index (*tape_lanes)(Index))
        : samples_(samples), lengths_(samples, steps) {
        std::iota(samples_.begin(), samples_.end(), Index{0});
        if (lengths) {
            std::stable_sort(samples_.begin(), samples_.end(),
                             [&](Index a, Index b) { return lengths[a] > lengths[b]; });
            for (Index s = 0; s < samples; ++s) lengths_[s] = lengths[samples_[s]];
        }
        for (Index first = 0, place = 0; first < samples; first += tile) {
            const Index count = std::min(tile, samples - first);
            tiles_.push_back({place, count, &samples_[first], &lengths_[first]});
            place += tape_lanes(count);
        }
    }

    std::vector<Index> samples_, lengths_;
    std::vector<Tile> tiles_;
};

template <class T>
int threads_for(const Job<T>& job, Index shares, int threads) {
    const double work = static_cast<double>(job.steps) * job.samples * job.form.rows * job.form.columns;
    const Index useful = std::max<Index>(1, static_cast<Index>(work / worth_a_thread));
    return static_cast<int>(std::max<Index>(1, std::min({Index{threads}, shares, useful})));
}

}  // namespace

Dispatch<InstructionSet>& dispatch() {
    static Dispatch<InstructionSet> kernels({
        {"baseline", baseline::instruction_set},
#if defined(LONGLAG_X86)
        {"avx2", avx2::instruction_set},
        {"avx512", avx512::instruction_set},
#endif
    });
    return kernels;
}

template <>
const Kernels<float>& kernels(Lanes lanes) {
    const InstructionSet& set = dispatch().table();
    return lanes == Lanes::samples ? set.samples_float : set.units_float;
}

template <>
const Kernels<double>& kernels(Lanes lanes) {
    const InstructionSet& set = dispatch().table();
    return lanes == Lanes::samples ? set.samples_double : set.units_double;
}

template <class T>
Index tape_size(const Form& form, Lanes lanes, Index steps, Index samples, Index every) {
    const Kernels<T>& k = kernels<T>(lanes);
    const Index tile = k.tile(samples), lanes_in_all = samples / tile * k.tape_lanes(tile) + k.tape_lanes(samples % tile);
    return tape_steps(steps, every) * lanes_in_all * k.tape_width(form) + 64;  // loads may reach a vector too far
}

template <class T>
void forward(const Job<T>& job, Lanes lanes, int threads) {
    const Kernels<T>& k = kernels<T>(lanes);
    const Tiles tiles(job, k);
    if (tiles.count() == 0) return;
    if (job.tape) {
        in_large_pages(job.tape, sizeof(T) * tape_size<T>(job.form, lanes, job.steps, job.samples, job.every));
    }
    const Buffer<T> packed(k.packed_size(job, Pass::forward));
    k.pack(job, Pass::forward, job.weights, packed.get());
    threads = threads_for(job, tiles.count(), threads);
    const Index size = k.scratch_size(job, tiles[0], Pass::forward);
    const Buffer<T> scratch(size * threads);
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1) if (threads > 1)
    for (Index n = 0; n < tiles.count(); ++n) {
        k.forward(job, tiles[n], packed.get(), scratch.get() + size * this_thread());
    }
}

template <class T>
void backward(const Job<T>& job, Lanes lanes, int threads) {
    const Kernels<T>& k = kernels<T>(lanes);
    const Tiles tiles(job, k);
    // Every group of tiles has sums of its own and takes its tiles in order; the groups are added in order. How many
    // there are depends on the sizes alone, and tiles are dealt out in turn because the first ones are the longest.
    const Index sums = k.gradient_size(job);
    const Index most = std::clamp<Index>(sums_budget / (sums * static_cast<Index>(sizeof(T))), 2, 64);
    const Index groups = std::max<Index>(1, std::min(tiles.count(), most));
    const Buffer<T> gradient(sums * groups);
    std::fill_n(gradient.get(), sums * groups, T(0));
    if (tiles.count() > 0) {
        const Buffer<T> packed(k.packed_size(job, Pass::backward));
        k.pack(job, Pass::backward, job.weights, packed.get());
        threads = threads_for(job, groups, threads);
        const Index size = k.scratch_size(job, tiles[0], Pass::backward);
        const Buffer<T> scratch(size * threads);
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1) if (threads > 1)
        for (Index group = 0; group < groups; ++group) {
            for (Index n = group; n < tiles.count(); n += groups) {
                k.backward(job, tiles[n], packed.get(), scratch.get() + size * this_thread(),
                           gradient.get() + sums * group);
            }
        }
    }
    T* total = gradient.get();
    for (Index group = 1; group < groups; ++group) {
        const T* share = gradient.get() + sums * group;
        for (Index j = 0; j < sums; ++j) total[j] += share[j];
    }
    k.unpack(job, total);
}

template <class T>
void backward_each(const Job<T>& job, Lanes lanes, int threads) {
    const Kernels<T>& k = kernels<T>(lanes);
    const Tiles tiles(job, k);
    if (tiles.count() == 0) return;
    const Buffer<T> packed(k.packed_size(job, Pass::backward));
    k.pack(job, Pass::backward, job.weights, packed.get());
    threads = threads_for(job, tiles.count(), threads);
    const Index size = k.scratch_size(job, tiles[0], Pass::backward);
    const Index sums = k.gradient_size(job) * k.parts(tiles[0].count);
    const Buffer<T> scratch(size * threads), gradients(sums * threads);
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1) if (threads > 1)
    for (Index n = 0; n < tiles.count(); ++n) {
        T* const own = gradients.get() + sums * this_thread();
        std::fill_n(own, sums, T(0));
        k.backward_each(job, tiles[n], packed.get(), scratch.get() + size * this_thread(), own);
        k.unpack_each(job, tiles[n], own);
    }
}

template <class T>
void tangent(const Job<T>& job, Lanes lanes, int threads) {
    const Kernels<T>& k = kernels<T>(lanes);
    const Tiles tiles(job, k);
    if (tiles.count() == 0) return;
    const Index packed_size = k.packed_size(job, Pass::tangent);
    const Buffer<T> packed(2 * packed_size);
    T* const direction = packed.get() + packed_size;
    k.pack(job, Pass::tangent, job.weights, packed.get());
    k.pack(job, Pass::tangent, job.tangents.weights, direction);
    threads = threads_for(job, tiles.count(), threads);
    const Index size = k.scratch_size(job, tiles[0], Pass::tangent);
    const Buffer<T> scratch(size * threads);
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1) if (threads > 1)
    for (Index n = 0; n < tiles.count(); ++n) {
        k.tangent(job, tiles[n], packed.get(), direction, scratch.get() + size * this_thread());
    }
}

template <class T>
void step(const Form& form, Index samples, const Parameters<const T>& weights, const T* second_bias, const T* x,
          const StateRows<const T>& start, const StateRows<T>& final) {
    const auto run = [] {
        if constexpr (sizeof(T) == 4) return dispatch().table().step_float;
        else return dispatch().table().step_double;
    }();
    const Buffer<T> scratch(run(form, weights, second_bias, x, start, final, nullptr));
    for (Index s = 0; s < samples; ++s) {
        run(form, weights, second_bias, x + s * form.inputs,
            {start.output + s * form.outputs, start.cells + s * form.hidden, start.gates + s * form.gates},
            {final.output + s * form.outputs, final.cells + s * form.hidden, final.gates + s * form.gates},
            scratch.get());
    }
}

template void step<float>(const Form&, Index, const Parameters<const float>&, const float*, const float*,
                          const StateRows<const float>&, const StateRows<float>&);
template void step<double>(const Form&, Index, const Parameters<const double>&, const double*, const double*,
                           const StateRows<const double>&, const StateRows<double>&);
template Index tape_size<float>(const Form&, Lanes, Index, Index, Index);
template Index tape_size<double>(const Form&, Lanes, Index, Index, Index);
template void forward<float>(const Job<float>&, Lanes, int);
template void forward<double>(const Job<double>&, Lanes, int);
template void backward<float>(const Job<float>&, Lanes, int);
template void backward<double>(const Job<double>&, Lanes, int);
template void backward_each<float>(const Job<float>&, Lanes, int);
template void backward_each<double>(const Job<double>&, Lanes, int);
template void tangent<float>(const Job<float>&, Lanes, int);
template void tangent<double>(const Job<double>&, Lanes, int);

}  // namespace longlag
