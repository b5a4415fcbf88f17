// What networks that learn online read, and the kernels that read it: the same for every kind of network and every
// instruction set.

#pragma once

#include <cstdint>

#include "../layer.hpp"

namespace longlag::online {

// What one network reads in one call: sequences one after the other.
template <class T>
struct Stream {
    const T* values;                     // (N, I), or null
    const std::int32_t* symbols;         // (N,), or null
    const Index* lengths;                // of the sequences; null: one that does not end here
    Index sequences;                     // how many; without lengths: steps
    const T* targets;                    // (M, K), or null
    const std::int32_t* target_symbols;  // (M,): one output unit on, the others off; or null
    T* outputs;                          // (M, K) outputs where there is a target, or null
    T* largest;                          // (M,) the largest absolute error, or null
    T* mean;                             // (M,) the mean absolute error, or null
    T rate;                              // learning rate; 0 for none
};

struct ReadOptions {
    bool every_step;      // a target at each step; otherwise one at the last step of each sequence
    bool learn;           // otherwise weights and traces stay
    bool update_at_ends;  // weights change at the ends of sequences only
    bool targets;         // false: the streams have none, and no outputs are wanted
    bool restore_state;   // afterwards the states are what they were before
    Index longest = 1;    // steps of the longest sequence
};

// The kernels of one instruction set, one type and one way to fill vectors, for networks of a kind: Kind::Net is what
// they are made of, Kind::Numbers where their numbers stand. `memory` holds the numbers of the networks that share
// vectors in an order of its own; sizes are in elements.
template <class Kind, class T>
struct Kernels {
    using Net = typename Kind::Net;
    template <class U>
    using Numbers = typename Kind::template Numbers<U>;

    Index (*together)();  // networks that share vectors
    Index (*size)(const Net&);
    Index (*scratch)(const Net&, Index longest);
    // Of the network in lane `place`. `pending`: for weights, their changes that wait for the end of a sequence.
    void (*load)(const Net&, T* memory, Index place, const Numbers<const T>&, bool pending);
    void (*save)(const Net&, T* memory, Index place, const Numbers<T>&, bool pending);
    void (*run)(const Net&, T* memory, T* scratch, const Stream<T>* streams, Index count, const ReadOptions&);
};

}  // namespace longlag::online
