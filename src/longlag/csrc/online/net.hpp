// A layer of memory-cell blocks and its output units, as Python hands them over to learn online. Plain data, the same
// for every instruction set.

#pragma once

#include "streams.hpp"

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

// The numbers of one network in PyTorch's layout; null: not wanted.
template <class T>
struct Numbers {
    T *input, *recurrent, *bias, *peephole, *readout, *readout_bias;  // weights; biases of the units that have one
    T *output, *cells, *gates;                                        // state
    T *traces, *peephole_traces;                                      // (kinds, H, I + R + 1), (kinds, H, S)

    // f(name, pointer) for each: the names of a learner's state_dict.
    template <class F>
    void each_named(F f) {
        f("weight_ih", input);
        f("weight_hh", recurrent);
        f("bias", bias);
        f("weight_peephole", peephole);
        f("readout.weight", readout);
        f("readout.bias", readout_bias);
        f("output", output);
        f("cells", cells);
        f("gates", gates);
        f("traces", traces);
        f("peephole_traces", peephole_traces);
    }
};

// The kind of network that online learners consist of, for Kernels and Bank.
struct BlockNetworks {
    using Net = online::Net;
    template <class T>
    using Numbers = online::Numbers<T>;
};

}  // namespace longlag::online
