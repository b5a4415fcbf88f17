// Plain recurrent nets of logistic units, as Python hands them over: sizes, addresses, kernels. The same for every
// instruction set.

#pragma once

#include "../online/net.hpp"

namespace longlag::baselines {

using longlag::online::Manner;
using longlag::online::Stream;

enum class Method : int { rtrl, bptt, elman };

// h hidden units, fully recurrent, and output units that read them at the same step; or, `flat`, one layer of units
// that all read the inputs and each other, the first of which are the outputs.
struct Net {
    Index symbols;      // size of the alphabet when inputs are symbols; 0: inputs are dense
    Index inputs;       // components of a dense input; 0 with symbols
    Index hidden;       // recurrent units
    Index outputs;      // K
    Index extra;        // output units behind those K that say what the chunker's hidden units do
    bool flat;
    bool reads_inputs;  // output units read the inputs as well
    bool bias;          // of all units
    bool feedback;      // all units read the output units' last activations; such nets do not learn
    Method method;
    bool chunker;       // a second net of the same form reads what this one has not foreseen
    double threshold;   // an output off by more than this was not foreseen

    bool tabled() const { return !flat && reads_inputs && symbols; }  // output units read symbols
    Index answers() const { return outputs + extra; }
    Index fed_back() const { return feedback ? outputs : 0; }
    Index columns() const { return inputs + hidden + fed_back() + (bias ? 1 : 0); }  // of a hidden unit, dense
    Index dense_seen() const { return reads_inputs ? inputs : 0; }
    Index seen() const { return flat ? 0 : hidden + dense_seen() + fed_back() + (bias ? 1 : 0); }
    Index traced() const { return method == Method::rtrl ? (columns() + symbols) * hidden : 0; }  // weights

    Net automatizer() const {
        Net net = *this;
        net.extra = chunker ? hidden : 0;
        return net;
    }
};

// The numbers of one network, rows as in PyTorch; null: not wanted.
template <class T>
struct Numbers {
    T *input, *recurrent, *bias, *readout, *readout_bias;  // weights; [x], [h y], 1; [h x y], 1
    T *state, *answers;                                    // (h,), (K,)
    T* traces;                                             // (h, h, I + h + bias): of unit k by a weight of unit i
};

// The kernels of one instruction set and one type; V networks share a memory.
template <class T>
struct Kernels {
    Index (*together)();
    Index (*size)(const Net&);
    Index (*scratch)(const Net&, Index longest);  // longest: steps of a sequence
    void (*load)(const Net&, T* memory, Index place, const Numbers<const T>& net, const Numbers<const T>& chunker,
                 bool waiting);
    void (*save)(const Net&, const T* memory, Index place, const Numbers<T>& net, const Numbers<T>& chunker,
                 bool waiting);
    void (*run)(const Net&, T* memory, T* scratch, const Stream<T>* streams, Index count, const Manner&,
                Index longest);
};

}  // namespace longlag::baselines
