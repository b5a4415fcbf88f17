// Any number of networks of one form, in groups that share vectors; the memory that keeps them between calls.

#pragma once

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <new>
#include <stdexcept>
#include <vector>

#include "streams.hpp"

namespace longlag::online {

template <class Kind, class T>
class Bank {
public:
    using Element = T;
    using Net = typename Kind::Net;
    template <class U>
    using Numbers = typename Kind::template Numbers<U>;

    // The kernels stay those that made the memory: another instruction set orders it differently.
    Bank(const Net& net, Index networks, const Kernels<Kind, T>& kernels)
        : net_(net), networks_(networks), size_(kernels.size(net)), together_(kernels.together()), kernels_(kernels) {
        for (Index n = 0; n < networks; n += together_) groups_.push_back(zeros(size_));
    }
    Bank(const Bank&) = delete;
    Bank& operator=(const Bank&) = delete;

    Index networks() const { return networks_; }
    Index elements() const { return static_cast<Index>(groups_.size()) * size_; }

    // `pending`: for weights, the changes that wait for the end of a sequence.
    void load(Index network, const Numbers<const T>& numbers, bool pending) {
        kernels_.load(net_, group(groups_, network), network % together_, numbers, pending);
    }
    void dump(Index network, const Numbers<T>& numbers, bool pending, bool from_snapshot) const {
        if (from_snapshot && snapshot_.empty()) throw std::out_of_range("there is no snapshot to dump from");
        kernels_.save(net_, group(from_snapshot ? snapshot_ : groups_, network), network % together_, numbers, pending);
    }
    // A copy of all numbers as they are now, for dump(from_snapshot).
    void snapshot() {
        for (std::size_t g = 0; g < groups_.size(); ++g) {
            if (snapshot_.size() <= g) snapshot_.push_back(zeros(size_));
            std::copy_n(groups_[g].get(), size_, snapshot_[g].get());
        }
    }

    // One stream for each network, in order.
    void read(const Stream<T>* streams, ReadOptions options, int threads) {
        options.longest = longest(streams);
        const Index groups = static_cast<Index>(groups_.size()), scratch_size = kernels_.scratch(net_, options.longest);
        threads = static_cast<int>(std::clamp<Index>(threads, 1, groups));
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1) if (threads > 1)
        for (Index g = 0; g < groups; ++g) {
            const Memory scratch = zeros(scratch_size);
            const Index first = g * together_, count = std::min(together_, networks_ - first);
            kernels_.run(net_, groups_[g].get(), scratch.get(), streams + first, count, options);
        }
    }

private:
    struct Free {
        void operator()(T* p) const { std::free(p); }
    };
    using Memory = std::unique_ptr<T, Free>;

    static Memory zeros(Index elements) {
        const std::size_t bytes = (static_cast<std::size_t>(elements) * sizeof(T) + 127) / 64 * 64;
        Memory memory(static_cast<T*>(std::aligned_alloc(64, bytes)));
        if (!memory) throw std::bad_alloc();
        std::fill_n(memory.get(), bytes / sizeof(T), T(0));
        return memory;
    }
    T* group(const std::vector<Memory>& groups, Index network) const {
        if (network < 0 || network >= networks_) throw std::out_of_range("there is no such network");
        return groups[network / together_].get();
    }
    Index longest(const Stream<T>* streams) const {
        Index longest = 1;
        for (Index n = 0; n < networks_; ++n) {
            for (Index s = 0; streams[n].lengths && s < streams[n].sequences; ++s) {
                longest = std::max(longest, streams[n].lengths[s]);
            }
        }
        return longest;
    }

    Net net_;
    Index networks_, size_, together_;
    Kernels<Kind, T> kernels_;
    std::vector<Memory> groups_, snapshot_;
};

}  // namespace longlag::online
