#include "bank.hpp"

#include <algorithm>
#include <new>
#include <type_traits>

#include "../driver.hpp"

namespace longlag::online {

namespace {

template <class T>
const Kernels<T>& kernels_in_use(bool side_by_side) {
    const InstructionSet& set = instruction_set();
    if constexpr (std::is_same_v<T, float>) return side_by_side ? set.networks_float : set.one_float;
    else return side_by_side ? set.networks_double : set.one_double;
}

}  // namespace

template <class T>
typename Bank<T>::Memory Bank<T>::zeros(Index elements) {
    const std::size_t bytes = (static_cast<std::size_t>(elements) * sizeof(T) + 127) / 64 * 64;
    Memory memory(static_cast<T*>(std::aligned_alloc(64, bytes)));
    if (!memory) throw std::bad_alloc();
    std::fill_n(memory.get(), bytes / sizeof(T), T(0));
    return memory;
}

template <class T>
Bank<T>::Bank(const Net& net, Index networks, bool side_by_side)
    : net_(net), networks_(networks), kernels_(kernels_in_use<T>(side_by_side)) {
    size_ = kernels_.size(net_);
    scratch_size_ = kernels_.scratch(net_);
    together_ = kernels_.together();
    for (Index n = 0; n < networks; n += together_) groups_.push_back(zeros(size_));
}

template <class T>
void Bank<T>::load(Index network, const Numbers<const T>& numbers, bool waiting) {
    kernels_.load(net_, groups_[network / together_].get(), network % together_, numbers, waiting);
}

template <class T>
void Bank<T>::save(Index network, const Numbers<T>& numbers, bool waiting) const {
    kernels_.save(net_, groups_[network / together_].get(), network % together_, numbers, waiting);
}

template <class T>
void Bank<T>::keep() {
    for (std::size_t g = 0; g < groups_.size(); ++g) {
        if (kept_.size() <= g) kept_.push_back(zeros(size_));
        std::copy_n(groups_[g].get(), size_, kept_[g].get());
    }
}

template <class T>
void Bank<T>::save_kept(Index network, const Numbers<T>& numbers) const {
    if (kept_.empty()) return;
    kernels_.save(net_, kept_[network / together_].get(), network % together_, numbers, false);
}

template <class T>
void Bank<T>::run(const Stream<T>* streams, const Manner& manner, int threads) {
    const Index groups = static_cast<Index>(groups_.size());
    threads = static_cast<int>(std::clamp<Index>(threads, 1, groups));
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1) if (threads > 1)
    for (Index g = 0; g < groups; ++g) {
        const Memory scratch = zeros(scratch_size_);
        const Index first = g * together_;
        kernels_.run(net_, groups_[g].get(), scratch.get(), streams + first, std::min(together_, networks_ - first),
                     manner);
    }
}

template class Bank<float>;
template class Bank<double>;

}  // namespace longlag::online
