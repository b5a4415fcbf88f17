// Changes of weights. A change that would leave a weight not finite is refused: learning has diverged there, or the
// lane is idle and its numbers mean nothing.

#pragma once

#include "../simd.hpp"

namespace longlag::LONGLAG_ISA::online {

// w <- w + change where that is finite. The other lanes keep w and are added to `refused`.
template <class T>
LONGLAG_INLINE void commit(T* w, vec<T> change, ivec<T>& refused) {
    const vec<T> old = load(w), next = old + change;
    const ivec<T> fine = next - next == T(0);
    store(w, fine ? next : old);
    refused |= ~fine;
}

// The same for a single number.
template <class T>
LONGLAG_INLINE void commit_one(T& w, T change, typename Simd<T>::integer& refused) {
    const T next = w + change;
    if (next - next == T(0)) w = next;
    else refused = -1;
}

}  // namespace longlag::LONGLAG_ISA::online
