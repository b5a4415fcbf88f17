// Changes of weights, made one by one. A change that would leave no finite number is not made: learning has diverged
// there, or the lane is idle and what it computes is nobody's.

#pragma once

#include "../simd.hpp"

namespace longlag::LONGLAG_ISA::online {

// w <- w + by; `refused` gains the lanes where that is no finite number, and w stays.
template <class T>
LONGLAG_INLINE void commit(T* w, vec<T> by, ivec<T>& refused) {
    const vec<T> old = load(w), next = old + by;
    const ivec<T> fine = next - next == T(0);
    store(w, fine ? next : old);
    refused |= ~fine;
}

// The same for a single number.
template <class T>
LONGLAG_INLINE void commit_one(T& w, T by, typename Simd<T>::integer& refused) {
    const T next = w + by;
    if (next - next == T(0)) w = next;
    else refused = -1;
}

}  // namespace longlag::LONGLAG_ISA::online
