// The Python face of one layer: its cell, its passes over a batch and its single steps. Whoever calls (the engine, the
// operators, nn/stepping.py) has checked every tensor whose address comes here.

#include <nanobind/stl/array.h>
#include <nanobind/stl/string.h>

#include "bindings.hpp"
#include "driver.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace longlag {

namespace {

// A batch as Python describes it: the fields that every pass needs. The type of its numbers is the pass's.
struct BatchCall {
    Lanes lanes;
    int threads;
    Index steps, samples, checkpoint_every;
    Address lengths;
    StridedAddress inputs;
    Addresses<5> weights;
    Addresses<3> initial_state;
    Address outputs, tape;
};

Lanes lanes_named(const std::string& name) { return named<Lanes>("lanes", name, std::array{"samples", "units"}); }

// One layer in one direction: a cell, its sizes and its gradient paths.
struct Layer {
    Form form;
    Paths paths;

    Index tape_size(bool wide, const std::string& lanes, Index steps, Index samples, Index checkpoint_every) const {
        const auto size = wide ? longlag::tape_size<double> : longlag::tape_size<float>;
        return size(form, lanes_named(lanes), steps, samples, checkpoint_every);
    }

    template <class T>
    Job<T> job(const BatchCall& call) const {
        Job<T> job{form, paths};
        job.steps = call.steps;
        job.samples = call.samples;
        job.every = call.checkpoint_every;
        job.lengths = pointer<const Index>(call.lengths);
        job.inputs = strided<const T>(call.inputs);
        job.weights = parameters<const T>(call.weights);
        job.start = state_rows<const T>(call.initial_state);
        job.outputs = pointer<T>(call.outputs);
        job.tape = pointer<T>(call.tape);
        return job;
    }

    template <class T>
    void forward(const BatchCall& call, const Addresses<3>& final_state) const {
        Job<T> job = this->job<T>(call);
        job.final = state_rows<T>(final_state);
        longlag::forward<T>(job, call.lanes, call.threads);
    }

    template <class T>
    void backward(const BatchCall& call, const StridedAddress& d_outputs, const Addresses<3>& d_final_state,
                  Address d_inputs, const Addresses<3>& d_initial_state, const Addresses<5>& d_weights,
                  bool per_sample) const {
        Job<T> job = this->job<T>(call);
        job.d_outputs = strided<const T>(d_outputs);
        job.d_final = state_rows<const T>(d_final_state);
        job.d_inputs = pointer<T>(d_inputs);
        job.d_start = state_rows<T>(d_initial_state);
        job.d_weights = parameters<T>(d_weights);
        (per_sample ? longlag::backward_each<T> : longlag::backward<T>)(job, call.lanes, call.threads);
    }

    template <class T>
    void tangent(const BatchCall& call, const StridedAddress& inputs, const Addresses<3>& initial_state,
                 const Addresses<5>& weights, Address outputs, const Addresses<3>& final_state) const {
        Job<T> job = this->job<T>(call);
        job.tangents = {parameters<const T>(weights), strided<const T>(inputs), state_rows<const T>(initial_state),
                        pointer<T>(outputs), state_rows<T>(final_state)};
        longlag::tangent<T>(job, call.lanes, call.threads);
    }

    // The GIL stays: a step takes less time than giving it away.
    template <class T>
    void step(Index samples, Address x, const Addresses<5>& weights, Address second_bias,
              const Addresses<3>& initial_state, const Addresses<3>& final_state) const {
        longlag::step<T>(form, samples, parameters<const T>(weights), pointer<const T>(second_bias),
                         pointer<const T>(x), state_rows<const T>(initial_state), state_rows<T>(final_state));
    }
};

Forget forget_of(bool forget_gate, bool coupled_gates) {
    return !forget_gate ? Forget::none : coupled_gates ? Forget::coupled : Forget::own;
}

// The passes in one element type; `type` ends their names.
template <class T>
void bind_passes(nb::class_<Layer>& layer, const std::string& type) {
    using release = nb::call_guard<nb::gil_scoped_release>;
    // Positional arguments, because naming them at each step costs 70 ns of its microseconds.
    layer.def(("step" + type).c_str(), &Layer::step<T>, "samples"_a, "x"_a, "weights"_a, "second_bias"_a,
              "initial_state"_a, "final_state"_a,
              "One step without a tape: rows of x and of the states, contiguous, sample after sample.");
    layer.def(("forward" + type).c_str(), &Layer::forward<T>, "call"_a, nb::kw_only(), "final_state"_a, release(),
              "Writes outputs, final state and tape.");
    layer.def(("backward" + type).c_str(), &Layer::backward<T>, "call"_a, nb::kw_only(), "d_outputs"_a,
              "d_final_state"_a, "d_inputs"_a, "d_initial_state"_a, "d_weights"_a, "per_sample"_a, release(),
              "Writes the gradients by inputs, initial state and weights; with `per_sample` those by weights are "
              "(B, ...).");
    layer.def(("tangent" + type).c_str(), &Layer::tangent<T>, "call"_a, nb::kw_only(), "inputs"_a, "initial_state"_a,
              "weights"_a, "outputs"_a, "final_state"_a, release(),
              "Writes the directional derivatives of outputs and final state, for those of inputs, initial state and "
              "weights.");
}

}  // namespace

void bind_layer(nb::module_& m) {
    nb::class_<Cell>(m, "Cell", "The kernels' part of a CellSpec.")
        .def("__init__",
             [](Cell* self, Index cells_per_block, bool input_gate, bool forget_gate, bool output_gate,
                bool coupled_gates, bool peepholes, bool gate_recurrence, const std::string& input_squash,
                const std::string& output_squash, double sharpness, bool recurrence, Index conventional_units,
                const std::string& unit_squash) {
                 Cell cell{};
                 cell.cells_per_block = cells_per_block;
                 cell.input_gate = input_gate;
                 cell.forget = forget_of(forget_gate, coupled_gates);
                 cell.output_gate = output_gate;
                 cell.peepholes = peepholes;
                 cell.gate_recurrence = gate_recurrence;
                 cell.recurrence = recurrence;
                 cell.input_squash = squash_named("input_squash", input_squash);
                 cell.output_squash = squash_named("output_squash", output_squash);
                 cell.unit_squash = squash_named("unit_squash", unit_squash);
                 cell.sharpness = sharpness;
                 cell.conventional_units = conventional_units;
                 new (self) Cell(cell);
             },
             nb::kw_only(), "cells_per_block"_a, "input_gate"_a, "forget_gate"_a, "output_gate"_a, "coupled_gates"_a,
             "peepholes"_a, "gate_recurrence"_a, "input_squash"_a, "output_squash"_a, "sharpness"_a, "recurrence"_a,
             "conventional_units"_a, "unit_squash"_a);

    nb::class_<BatchCall>(m, "BatchCall",
                          "What every pass needs. Tensors are addresses, 0 for none; `inputs` has its three strides.")
        .def("__init__",
             [](BatchCall* self, const std::string& lanes, int threads, Index steps, Index samples,
                Index checkpoint_every, Address lengths, const StridedAddress& inputs, const Addresses<5>& weights,
                const Addresses<3>& initial_state, Address outputs, Address tape) {
                 new (self) BatchCall{lanes_named(lanes), threads, steps,         samples, checkpoint_every, lengths,
                                      inputs,             weights, initial_state, outputs, tape};
             },
             nb::kw_only(), "lanes"_a, "threads"_a, "steps"_a, "samples"_a, "checkpoint_every"_a, "lengths"_a,
             "inputs"_a, "weights"_a, "initial_state"_a, "outputs"_a, "tape"_a);

    nb::class_<Layer> layer(m, "Layer", "The kernels for one layer in one direction.");
    layer
        .def("__init__",
             [](Layer* self, const Cell& cell, Index input_size, Index hidden_size, Index projection_size,
                bool recurrent_paths, bool peephole_paths) {
                 new (self) Layer{Form(cell, input_size, hidden_size, projection_size),
                                  {recurrent_paths, peephole_paths}};
             },
             nb::kw_only(), "cell"_a, "input_size"_a, "hidden_size"_a, "projection_size"_a, "recurrent_paths"_a,
             "peephole_paths"_a)
        .def("tape_size", &Layer::tape_size, nb::kw_only(), "wide"_a, "lanes"_a, "steps"_a, "samples"_a,
             "checkpoint_every"_a, "Elements of the tape that `forward` writes and `backward` reads.");
    bind_passes<float>(layer, "32");
    bind_passes<double>(layer, "64");
}

}  // namespace longlag
