// Plain recurrent nets of logistic units, and chunkers of two of them, as Python hands them over. Plain data, the same
// for every instruction set.

#pragma once

#include <string>

#include "longlag/csrc/online/streams.hpp"

namespace longlag::recurrent {

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
    bool chunker;       // a second net of the same form reads the symbols that this one has not foreseen
    double threshold;   // a symbol was not foreseen where an output's error is larger than this

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

// The numbers of one net, rows as in PyTorch; null: not wanted.
template <class T>
struct NetNumbers {
    T *input, *recurrent, *bias, *readout, *readout_bias;  // weights; [x], [h y], 1; [h x y], 1
    T *state, *answers;                                    // (h,), (K,)
    T* traces;                                             // (h, h, I + h + bias): of unit k by a weight of unit i
};

// The numbers of a net, and of its chunker if it has one.
template <class T>
struct Numbers {
    NetNumbers<T> net, chunker;

    // f(name, pointer) for each: the names of the topology's shapes.
    template <class F>
    void each_named(F f) {
        each_named(net, "", f);
        each_named(chunker, "chunker.", f);
    }

private:
    template <class F>
    static void each_named(NetNumbers<T>& numbers, const std::string& prefix, F f) {
        f(prefix + "weight_ih", numbers.input);
        f(prefix + "weight_hh", numbers.recurrent);
        f(prefix + "bias", numbers.bias);
        f(prefix + "readout.weight", numbers.readout);
        f(prefix + "readout.bias", numbers.readout_bias);
        f(prefix + "state", numbers.state);
        f(prefix + "answers", numbers.answers);
        f(prefix + "traces", numbers.traces);
    }
};

// The kind of network that this module holds, for online::Kernels and online::Bank.
struct RecurrentNets {
    using Net = recurrent::Net;
    template <class T>
    using Numbers = recurrent::Numbers<T>;
};

}  // namespace longlag::recurrent
