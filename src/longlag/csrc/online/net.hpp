// What Python hands over to learn online: the net, where its numbers stand, and what it reads. Plain data, the same for
// every instruction set.

#pragma once

#include <cstdint>

#include "../layer.hpp"

namespace longlag::online {

// A layer of blocks and the output units that read it.
struct Net {
    Form form;            // of what is dense: with symbols the layer has no inputs of its own
    Index symbols;        // size of the alphabet when inputs are symbols; 0: inputs are dense
    Index outputs;        // K
    bool reads_inputs;    // output units read the inputs as well
    bool bias;            // hidden units have one (all, or with `gate_bias_only` the gates)
    bool gate_bias_only;
    bool output_bias;
    Squash squash;        // of the output units
    bool squared;         // the error of an output is multiplied by its slope: squared error. False: t - y alone

    Index inputs() const { return symbols ? symbols : form.inputs; }
    Index columns() const { return form.one + (bias ? 1 : 0); }            // of a hidden unit, without symbols
    Index seen() const { return form.outputs + (reads_inputs ? form.inputs : 0); }
    Index kinds() const {                                                  // of traces: i, f, g
        return (form.cell.input_gate ? 1 : 0) + (form.cell.forget == Forget::own ? 1 : 0) + 1;
    }
    Index peepholes() const { return form.cell.peepholes ? form.gates / form.blocks : 0; }
    Index traced_peepholes() const { return form.cell.peepholes ? kinds() - 1 : 0; }  // those that see s_{t-1}
};

// The numbers of all networks in PyTorch's layout, network after network; null: not wanted.
template <class T>
struct Numbers {
    T *input, *recurrent, *bias, *peephole, *readout, *readout_bias;  // weights
    T *output, *cells, *gates;                                        // state
    T *traces, *peephole_traces;                                      // (kinds, H, I + R + 1), (kinds, H, S)
};

// What one network reads in one call: sequences one after the other.
template <class T>
struct Stream {
    const T* values;                       // (N, I), or null
    const std::int32_t* symbols;           // (N,), or null
    const Index* lengths;                  // of the sequences; null: one that does not end here
    Index sequences;                       // how many; without lengths: steps
    const T* targets;                      // (M, K), or null
    const std::int32_t* target_symbols;    // (M,): one output unit on, the others off; or null
    T* outputs;                            // (M, K) what the net said where it had a target, or null
    T* largest;                            // (M,) its largest absolute error, or null
    T* mean;                               // (M,) its mean absolute error, or null
    T rate;                                // learning rate; 0 for none
};

struct Manner {
    bool every_step;    // a target at each step; otherwise one at the last step of each sequence
    bool learns;        // otherwise weights and traces stay
    bool at_ends;       // weights change at the ends of sequences only
    bool targets;       // false: read on
    bool peeks;         // afterwards the states are what they were before
};

// The kernels of one instruction set, one type and one way to fill vectors. `memory` holds the numbers of all networks
// in an order of its own; sizes are in elements.
template <class T>
struct Kernels {
    Index (*together)();                   // networks that share vectors
    Index (*size)(const Net&);             // of the memory of so many networks
    Index (*scratch)(const Net&);
    void (*load)(const Net&, T* memory, Index place, const Numbers<const T>&, bool waiting);
    void (*save)(const Net&, const T* memory, Index place, const Numbers<T>&, bool waiting);
    void (*run)(const Net&, T* memory, T* scratch, const Stream<T>* streams, Index count, const Manner&);
};

}  // namespace longlag::online
