#include "bank.hpp"

#include <algorithm>
#include <new>
#include <type_traits>

#include "../driver.hpp"

namespace longlag::baselines {

namespace {

template <class T>
const Kernels<T>& kernels_in_use() {
    if constexpr (std::is_same_v<T, float>) return instruction_set().recurrent_float;
    else return instruction_set().recurrent_double;
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
Bank<T>::Bank(const Net& net, Index networks) : net_(net), networks_(networks), kernels_(kernels_in_use<T>()) {
    size_ = kernels_.size(net_);
    together_ = kernels_.together();
    for (Index n = 0; n < networks; n += together_) groups_.push_back(zeros(size_));
}

template <class T>
void Bank<T>::load(Index network, const Numbers<const T>& net, const Numbers<const T>& chunker, bool waiting) {
    kernels_.load(net_, groups_[network / together_].get(), network % together_, net, chunker, waiting);
}

template <class T>
void Bank<T>::save(Index network, const Numbers<T>& net, const Numbers<T>& chunker, bool waiting, bool kept) const {
    if (kept && kept_.empty()) return;
    const std::vector<Memory>& groups = kept ? kept_ : groups_;
    kernels_.save(net_, groups[network / together_].get(), network % together_, net, chunker, waiting);
}

template <class T>
void Bank<T>::keep() {
    for (std::size_t g = 0; g < groups_.size(); ++g) {
        if (kept_.size() <= g) kept_.push_back(zeros(size_));
        std::copy_n(groups_[g].get(), size_, kept_[g].get());
    }
}

template <class T>
void Bank<T>::run(const Stream<T>* streams, const Manner& manner, int threads) {
    Index longest = 1;  // back-propagation through time remembers one sequence
    for (Index n = 0; n < networks_ && net_.method == Method::bptt; ++n) {
        for (Index s = 0; streams[n].lengths && s < streams[n].sequences; ++s) {
            longest = std::max(longest, streams[n].lengths[s]);
        }
    }
    const Index scratch_size = kernels_.scratch(net_, longest), groups = static_cast<Index>(groups_.size());
    threads = static_cast<int>(std::clamp<Index>(threads, 1, groups));
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1) if (threads > 1)
    for (Index g = 0; g < groups; ++g) {
        const Memory scratch = zeros(scratch_size);
        const Index first = g * together_;
        kernels_.run(net_, groups_[g].get(), scratch.get(), streams + first, std::min(together_, networks_ - first),
                     manner, longest);
    }
}

template class Bank<float>;
template class Bank<double>;

}  // namespace longlag::baselines
