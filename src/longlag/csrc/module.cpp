// longlag._native: the Python face of the CPU kernels. Tensors come as addresses, which ops/native.py has checked.

#include <nanobind/nanobind.h>
#include <nanobind/stl/array.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <array>
#include <stdexcept>

#include "baselines/bank.hpp"
#include "driver.hpp"
#include "online/bank.hpp"

namespace nb = nanobind;

namespace {

using longlag::Index;
using Address = std::uintptr_t;
template <int N>
using Addresses = std::array<Address, N>;

template <class T>
longlag::StateRows<T> state(const Addresses<3>& a) {
    return {reinterpret_cast<T*>(a[0]), reinterpret_cast<T*>(a[1]), reinterpret_cast<T*>(a[2])};
}

template <class T>
longlag::Parameters<T> parameters(const Addresses<5>& a) {
    return {reinterpret_cast<T*>(a[0]), reinterpret_cast<T*>(a[1]), reinterpret_cast<T*>(a[2]),
            reinterpret_cast<T*>(a[3]), reinterpret_cast<T*>(a[4])};
}

// Address, then strides of step, sample and feature.
template <class T>
longlag::Strided<T> strided(const std::array<Index, 4>& a) {
    return {reinterpret_cast<T*>(a[0]), a[1], a[2], a[3]};
}

longlag::Lanes lanes_named(const std::string& name) {
    return name == "samples" ? longlag::Lanes::samples : longlag::Lanes::units;
}

// One layer: a cell, its sizes and its error paths.
struct Layer {
    longlag::Form form;
    longlag::Paths paths;

    Index tape_size(bool wide, const std::string& lanes, Index steps, Index samples, Index every) const {
        return wide ? longlag::tape_size<double>(form, lanes_named(lanes), steps, samples, every)
                    : longlag::tape_size<float>(form, lanes_named(lanes), steps, samples, every);
    }

    template <class T>
    longlag::Job<T> job(Index steps, Index samples, Index every, Address lengths, const std::array<Index, 4>& inputs,
                        const Addresses<5>& weights, const Addresses<3>& start, Address outputs, Address tape) const {
        longlag::Job<T> job{form, paths, steps, samples, every, reinterpret_cast<const Index*>(lengths),
                            strided<const T>(inputs), parameters<const T>(weights), state<const T>(start),
                            reinterpret_cast<T*>(outputs), {}, reinterpret_cast<T*>(tape), {}, {}, nullptr, {}, {}, {}};
        return job;
    }

    template <class T>
    void forward(const std::string& lanes, int threads, Index steps, Index samples, Index every, Address lengths,
                 const std::array<Index, 4>& inputs, const Addresses<5>& weights, const Addresses<3>& start,
                 Address outputs, const Addresses<3>& final, Address tape) const {
        longlag::Job<T> job = this->job<T>(steps, samples, every, lengths, inputs, weights, start, outputs, tape);
        job.final = state<T>(final);
        longlag::forward<T>(job, lanes_named(lanes), threads);
    }

    template <class T>
    void backward(const std::string& lanes, int threads, Index steps, Index samples, Index every, Address lengths,
                  const std::array<Index, 4>& inputs, const Addresses<5>& weights, const Addresses<3>& start,
                  Address outputs, Address tape, const std::array<Index, 4>& d_outputs, const Addresses<3>& d_final,
                  Address d_inputs, const Addresses<3>& d_start, const Addresses<5>& d_weights,
                  bool each_its_own) const {
        longlag::Job<T> job = this->job<T>(steps, samples, every, lengths, inputs, weights, start, outputs, tape);
        job.d_outputs = strided<const T>(d_outputs);
        job.d_final = state<const T>(d_final);
        job.d_inputs = reinterpret_cast<T*>(d_inputs);
        job.d_start = state<T>(d_start);
        job.d_weights = parameters<T>(d_weights);
        (each_its_own ? longlag::backward_each<T> : longlag::backward<T>)(job, lanes_named(lanes), threads);
    }

    template <class T>
    void tangent(const std::string& lanes, int threads, Index steps, Index samples, Index every, Address lengths,
                 const std::array<Index, 4>& inputs, const Addresses<5>& weights, const Addresses<3>& start,
                 Address outputs, Address tape, const Addresses<5>& d_weights, const std::array<Index, 4>& d_inputs,
                 const Addresses<3>& d_start, Address d_outputs, const Addresses<3>& d_final) const {
        longlag::Job<T> job = this->job<T>(steps, samples, every, lengths, inputs, weights, start, outputs, tape);
        job.moved = {parameters<const T>(d_weights), strided<const T>(d_inputs), state<const T>(d_start),
                     reinterpret_cast<T*>(d_outputs), state<T>(d_final)};
        longlag::tangent<T>(job, lanes_named(lanes), threads);
    }

    // The GIL stays: a step takes less time than giving it away.
    template <class T>
    void step(Index samples, Address x, const Addresses<5>& weights, Address second_bias, const Addresses<3>& start,
              const Addresses<3>& final) const {
        longlag::step<T>(form, samples, parameters<const T>(weights), reinterpret_cast<const T*>(second_bias),
                         reinterpret_cast<const T*>(x), state<const T>(start), state<T>(final));
    }
};

template <class T>
void evaluate(const std::string& function, Address x, Address y, Index n) {
    const int number = function == "exp" ? 0 : function == "sigmoid" ? 1 : function == "tanh" ? 2 : -1;
    if (number < 0) throw std::invalid_argument("function is '" + function + "'; expected exp, sigmoid or tanh");
    const longlag::InstructionSet& set = longlag::instruction_set();
    if constexpr (sizeof(T) == 4) {
        set.evaluate_float(number, reinterpret_cast<const T*>(x), reinterpret_cast<T*>(y), n);
    } else {
        set.evaluate_double(number, reinterpret_cast<const T*>(x), reinterpret_cast<T*>(y), n);
    }
}

// What every network reads in one call: a row of 9 for each (see Stream), and its rate.
template <class T>
std::vector<longlag::online::Stream<T>> stream_table(Address streams, Address rates, Index networks) {
    std::vector<longlag::online::Stream<T>> table;
    for (Index n = 0; n < networks; ++n) {
        const Index* row = reinterpret_cast<const Index*>(streams) + 9 * n;
        const auto at = [&](int k) { return reinterpret_cast<T*>(row[k]); };
        const auto symbols = [&](int k) { return reinterpret_cast<const std::int32_t*>(row[k]); };
        table.push_back({at(0), symbols(1), reinterpret_cast<const Index*>(row[2]), row[3], at(4), symbols(5), at(6),
                         at(7), at(8), reinterpret_cast<const T*>(rates)[n]});
    }
    return table;
}

// Networks that learn while they read. Arrays come as addresses, which online/networks.py has checked.
template <class T>
struct Bank : longlag::online::Bank<T> {
    using longlag::online::Bank<T>::Bank;

    template <class U>
    static longlag::online::Numbers<U> numbers(const Addresses<11>& a) {
        const auto at = [&](int n) { return reinterpret_cast<U*>(a[n]); };
        return {at(0), at(1), at(2), at(3), at(4), at(5), at(6), at(7), at(8), at(9), at(10)};
    }
    // Of one network, or with -1 of all.
    void put(Index network, const Addresses<11>& a, bool waiting) {
        const Index first = network < 0 ? 0 : network, last = network < 0 ? this->networks() : network + 1;
        for (Index n = first; n < last; ++n) this->load(n, numbers<const T>(a), waiting);
    }
    void take(Index network, const Addresses<11>& a, bool waiting) const { this->save(network, numbers<T>(a), waiting); }

    void take_kept(Index network, const Addresses<11>& a) const { this->save_kept(network, numbers<T>(a)); }

    void read(Address streams, Address rates, bool every_step, bool learns, bool at_ends, bool targets, bool peeks,
              int threads) {
        const auto table = stream_table<T>(streams, rates, this->networks());
        this->run(table.data(), {every_step, learns, at_ends, targets, peeks}, threads);
    }
};

template <class T>
void bind_bank(nb::module_& m, const char* name) {
    nb::class_<Bank<T>>(m, name)
        .def("__init__",
             [](Bank<T>* self, const Layer& layer, Index symbols, Index outputs, bool reads_inputs, bool bias,
                bool gate_bias_only, bool output_bias, int squash, bool squared, Index networks, bool side_by_side) {
                 const longlag::online::Net net{layer.form, symbols, outputs, reads_inputs, bias, gate_bias_only,
                                                output_bias, static_cast<longlag::Squash>(squash), squared};
                 new (self) Bank<T>(net, networks, side_by_side);
             })
        .def("elements", &Bank<T>::elements, "Numbers in memory, whatever is read.")
        .def("put", &Bank<T>::put)
        .def("take", &Bank<T>::take)
        .def("keep", &Bank<T>::keep)
        .def("take_kept", &Bank<T>::take_kept)
        .def("read", &Bank<T>::read, nb::call_guard<nb::gil_scoped_release>());
}

// Plain recurrent nets, likewise: addresses that baselines/networks.py has checked, 8 of a net and 8 of its chunker.
template <class T>
struct RecurrentBank : longlag::baselines::Bank<T> {
    using longlag::baselines::Bank<T>::Bank;

    template <class U>
    static longlag::baselines::Numbers<U> numbers(const Addresses<16>& a, int first) {
        const auto at = [&](int n) { return reinterpret_cast<U*>(a[first + n]); };
        return {at(0), at(1), at(2), at(3), at(4), at(5), at(6), at(7)};
    }
    void put(Index network, const Addresses<16>& a, bool waiting) {
        const Index first = network < 0 ? 0 : network, last = network < 0 ? this->networks() : network + 1;
        for (Index n = first; n < last; ++n) this->load(n, numbers<const T>(a, 0), numbers<const T>(a, 8), waiting);
    }
    void take(Index network, const Addresses<16>& a, bool waiting, bool kept) const {
        this->save(network, numbers<T>(a, 0), numbers<T>(a, 8), waiting, kept);
    }
    void read(Address streams, Address rates, bool every_step, bool learns, bool at_ends, bool targets, bool peeks,
              int threads) {
        const auto table = stream_table<T>(streams, rates, this->networks());
        this->run(table.data(), {every_step, learns, at_ends, targets, peeks}, threads);
    }
};

template <class T>
void bind_recurrent_bank(nb::module_& m, const char* name) {
    nb::class_<RecurrentBank<T>>(m, name)
        .def("__init__",
             [](RecurrentBank<T>* self, Index symbols, Index inputs, Index hidden, Index outputs, bool flat,
                bool reads_inputs, bool bias, bool feedback, int method, bool chunker, double threshold,
                Index networks) {
                 const longlag::baselines::Net net{symbols, inputs, hidden, outputs, 0, flat, reads_inputs, bias,
                                                   feedback, static_cast<longlag::baselines::Method>(method), chunker,
                                                   threshold};
                 new (self) RecurrentBank<T>(net, networks);
             })
        .def("elements", &RecurrentBank<T>::elements, "Numbers in memory, but for the record of a sequence.")
        .def("put", &RecurrentBank<T>::put)
        .def("take", &RecurrentBank<T>::take)
        .def("keep", &RecurrentBank<T>::keep)
        .def("read", &RecurrentBank<T>::read, nb::call_guard<nb::gil_scoped_release>());
}

}  // namespace

NB_MODULE(_native, m) {
    m.doc() = "CPU kernels of longlag.";
    nb::set_leak_warnings(false);  // a cache of layers lives until the interpreter ends
    m.def("instruction_sets", &longlag::instruction_sets,
          "Names of the instruction sets built and offered by this CPU among 'baseline', 'avx2' (AVX2 and FMA) and "
          "'avx512' (F, BW, DQ, VL), narrowest first.");
    m.def("instruction_set", [] { return std::string(longlag::instruction_set().name); }, "The one in use.");
    m.def(
        "use",
        [](const std::string& name) {
            if (!longlag::use(name)) throw std::invalid_argument("this CPU or build has no '" + name + "'");
        },
        "Use another one than the widest, for tests and measurements.");
    m.def("lanes", [](bool wide) {
        const longlag::InstructionSet& set = longlag::instruction_set();
        return wide ? set.lanes_double : set.lanes_float;
    }, "Elements of a vector: float64 if True, float32 if False.");
    m.def("evaluate32", &evaluate<float>, "y = function(x) for n float32 at two addresses, as the kernels compute it.");
    m.def("evaluate64", &evaluate<double>, "The same in float64.");

    nb::class_<Layer>(m, "Layer")
        .def("__init__",
             [](Layer* self, Index block, bool input_gate, int forget, bool output_gate, bool peepholes,
                bool gate_recurrence, bool recurrence, int input_squash, int output_squash, int unit_squash,
                double sharpness, Index units, Index inputs, Index hidden, Index projection, bool recurrent_paths,
                bool peephole_paths) {
                 const longlag::Cell cell{block,
                                          input_gate,
                                          static_cast<longlag::Forget>(forget),
                                          output_gate,
                                          peepholes,
                                          gate_recurrence,
                                          recurrence,
                                          static_cast<longlag::Squash>(input_squash),
                                          static_cast<longlag::Squash>(output_squash),
                                          static_cast<longlag::Squash>(unit_squash),
                                          sharpness,
                                          units};
                 new (self) Layer{longlag::Form(cell, inputs, hidden, projection), {recurrent_paths, peephole_paths}};
             })
        .def("tape_size", &Layer::tape_size, "Elements of the tape that a call writes and its way back reads.")
        .def("step32", &Layer::step<float>)
        .def("step64", &Layer::step<double>)
        .def("forward32", &Layer::forward<float>, nb::call_guard<nb::gil_scoped_release>())
        .def("forward64", &Layer::forward<double>, nb::call_guard<nb::gil_scoped_release>())
        .def("backward32", &Layer::backward<float>, nb::call_guard<nb::gil_scoped_release>())
        .def("backward64", &Layer::backward<double>, nb::call_guard<nb::gil_scoped_release>())
        .def("tangent32", &Layer::tangent<float>, nb::call_guard<nb::gil_scoped_release>())
        .def("tangent64", &Layer::tangent<double>, nb::call_guard<nb::gil_scoped_release>());
    bind_bank<float>(m, "Bank32");
    bind_bank<double>(m, "Bank64");
    bind_recurrent_bank<float>(m, "RecurrentBank32");
    bind_recurrent_bank<double>(m, "RecurrentBank64");
}
