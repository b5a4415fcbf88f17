// longlag._native: the Python face of the CPU kernels.

#include <nanobind/stl/array.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "baselines/bank.hpp"
#include "bindings.hpp"
#include "driver.hpp"
#include "online/bank.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

using longlag::Address;
using longlag::Addresses;
using longlag::Index;

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
             [](Bank<T>* self, const longlag::Cell& cell, Index input_size, Index hidden_size, Index output_size,
                bool symbols, bool reads_inputs, bool bias, bool gate_bias_only, bool output_bias,
                const std::string& output_activation, bool squared, Index networks, bool side_by_side) {
                 const longlag::online::Net net{longlag::Form(cell, symbols ? 0 : input_size, hidden_size, 0),
                                                symbols ? input_size : 0,
                                                output_size,
                                                reads_inputs,
                                                bias,
                                                gate_bias_only,
                                                output_bias,
                                                longlag::squash_named("output_activation", output_activation),
                                                squared};
                 new (self) Bank<T>(net, networks, side_by_side);
             },
             nb::kw_only(), "cell"_a, "input_size"_a, "hidden_size"_a, "output_size"_a, "symbols"_a, "reads_inputs"_a,
             "bias"_a, "gate_bias_only"_a, "output_bias"_a, "output_activation"_a, "squared"_a, "networks"_a,
             "side_by_side"_a)
        .def("elements", &Bank<T>::elements, "Numbers in memory, whatever is read.")
        .def("put", &Bank<T>::put, "network"_a, "numbers"_a, "waiting"_a)
        .def("take", &Bank<T>::take, "network"_a, "numbers"_a, "waiting"_a)
        .def("keep", &Bank<T>::keep)
        .def("take_kept", &Bank<T>::take_kept, "network"_a, "numbers"_a)
        .def("read", &Bank<T>::read, nb::kw_only(), "streams"_a, "rates"_a, "every_step"_a, "learns"_a, "at_ends"_a,
             "targets"_a, "peeks"_a, "threads"_a, nb::call_guard<nb::gil_scoped_release>());
}

// Plain recurrent nets, likewise: addresses that baselines/recurrent.py has checked, 8 of a net and 8 of its chunker.
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
             [](RecurrentBank<T>* self, Index input_size, Index hidden_size, Index output_size, bool symbols, bool flat,
                bool reads_inputs, bool bias, bool feedback, const std::string& method, bool chunker, double threshold,
                Index networks) {
                 using longlag::baselines::Method;
                 const longlag::baselines::Net net{
                     symbols ? input_size : 0, symbols ? 0 : input_size, hidden_size, output_size, 0, flat,
                     reads_inputs, bias, feedback,
                     longlag::named<Method>("method", method, std::array{"rtrl", "bptt", "elman"}), chunker, threshold};
                 new (self) RecurrentBank<T>(net, networks);
             },
             nb::kw_only(), "input_size"_a, "hidden_size"_a, "output_size"_a, "symbols"_a, "flat"_a, "reads_inputs"_a,
             "bias"_a, "feedback"_a, "method"_a, "chunker"_a, "threshold"_a, "networks"_a)
        .def("elements", &RecurrentBank<T>::elements, "Numbers in memory, but for the record of a sequence.")
        .def("put", &RecurrentBank<T>::put, "network"_a, "numbers"_a, "waiting"_a)
        .def("take", &RecurrentBank<T>::take, "network"_a, "numbers"_a, "waiting"_a, "kept"_a)
        .def("keep", &RecurrentBank<T>::keep)
        .def("read", &RecurrentBank<T>::read, nb::kw_only(), "streams"_a, "rates"_a, "every_step"_a, "learns"_a,
             "at_ends"_a, "targets"_a, "peeks"_a, "threads"_a, nb::call_guard<nb::gil_scoped_release>());
}

}  // namespace

NB_MODULE(_native, m) {
    m.doc() = "CPU kernels of longlag.";
    nb::set_leak_warnings(false);  // a cache of layers lives until the interpreter ends
    m.def("instruction_sets", &longlag::instruction_sets,
          "Those of 'baseline', 'avx2' and 'avx512' that this build has and this CPU offers, narrowest first.");
    m.def("instruction_set", [] { return std::string(longlag::instruction_set().name); }, "The one in use.");
    m.def(
        "use",
        [](const std::string& name) {
            if (!longlag::use(name)) throw std::invalid_argument("this CPU or build has no '" + name + "'");
        },
        "name"_a, "Use another one than the widest, for tests and measurements.");
    m.def("lanes", [](bool wide) {
        const longlag::InstructionSet& set = longlag::instruction_set();
        return wide ? set.lanes_double : set.lanes_float;
    }, "wide"_a, "Elements of a vector: float64 if True, float32 if False.");
    m.def("evaluate32", &evaluate<float>, "function"_a, "x"_a, "y"_a, "n"_a,
          "y = function(x) for n float32 at two addresses, as the kernels compute it.");
    m.def("evaluate64", &evaluate<double>, "function"_a, "x"_a, "y"_a, "n"_a, "The same in float64.");
    longlag::bind_layer(m);
    bind_bank<float>(m, "Bank32");
    bind_bank<double>(m, "Bank64");
    bind_recurrent_bank<float>(m, "RecurrentBank32");
    bind_recurrent_bank<double>(m, "RecurrentBank64");
}
