// Any number of plain recurrent nets of one form, in groups that share vectors; the memory that keeps them.

#pragma once

#include <cstdlib>
#include <memory>
#include <vector>

#include "../instruction_set.hpp"

namespace longlag::baselines {

template <class T>
class Bank {
public:
    Bank(const Net& net, Index networks);

    Bank(const Bank&) = delete;
    Bank& operator=(const Bank&) = delete;

    Index networks() const { return networks_; }
    Index elements() const { return static_cast<Index>(groups_.size()) * size_; }
    // `waiting`: for weights, the changes that wait for the end of a sequence.
    void load(Index network, const Numbers<const T>& net, const Numbers<const T>& chunker, bool waiting);
    void save(Index network, const Numbers<T>& net, const Numbers<T>& chunker, bool waiting, bool kept) const;
    // All numbers as they are now, to come back to.
    void keep();
    // One stream for each network, in order.
    void run(const Stream<T>* streams, const Manner& manner, int threads);

private:
    struct Free {
        void operator()(T* p) const { std::free(p); }
    };
    using Memory = std::unique_ptr<T, Free>;
    static Memory zeros(Index elements);

    Net net_;
    Index networks_, size_, together_;
    Kernels<T> kernels_;  // those that made the memory: another instruction set orders it differently
    std::vector<Memory> groups_, kept_;
};

}  // namespace longlag::baselines
