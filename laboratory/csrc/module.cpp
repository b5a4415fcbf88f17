// longlag_lab._native: the Python face of plain recurrent nets and chunkers that learn while they read.

#include "instruction_set.hpp"
#include "longlag/csrc/online/bank_binding.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace longlag::recurrent {

namespace {

Dispatch<InstructionSet>& dispatch() {
    static Dispatch<InstructionSet> kernels({
        {"baseline", baseline::recurrent_instruction_set},
#if defined(LONGLAG_X86)
        {"avx2", avx2::recurrent_instruction_set},
        {"avx512", avx512::recurrent_instruction_set},
#endif
    });
    return kernels;
}

template <class T>
const online::Kernels<RecurrentNets, T>& kernels() {
    if constexpr (std::is_same_v<T, float>) return dispatch().table().kernels_float;
    else return dispatch().table().kernels_double;
}

template <class T>
void bind_nets(nb::module_& m, const char* name) {
    using Bank = online::Bank<RecurrentNets, T>;
    online::bind_bank<RecurrentNets, T>(m, name, "Plain recurrent nets or chunkers, side by side in vectors.")
        .def("__init__",
             [](Bank* self, Index input_size, Index hidden_size, Index output_size, bool symbols, bool flat,
                bool reads_inputs, bool bias, bool feedback, const std::string& method, bool chunker, double threshold,
                Index networks) {
                 Net net{};
                 net.symbols = symbols ? input_size : 0;
                 net.inputs = symbols ? 0 : input_size;
                 net.hidden = hidden_size;
                 net.outputs = output_size;
                 net.flat = flat;
                 net.reads_inputs = reads_inputs;
                 net.bias = bias;
                 net.feedback = feedback;
                 net.method = named<Method>("method", method, std::array{"rtrl", "bptt", "elman"});
                 net.chunker = chunker;
                 net.threshold = threshold;
                 new (self) Bank(net, networks, kernels<T>());
             },
             nb::kw_only(), "input_size"_a, "hidden_size"_a, "output_size"_a, "symbols"_a, "flat"_a, "reads_inputs"_a,
             "bias"_a, "feedback"_a, "method"_a, "chunker"_a, "threshold"_a, "networks"_a);
}

}  // namespace

}  // namespace longlag::recurrent

NB_MODULE(_native, m) {
    m.doc() = "CPU kernels of the laboratory's competitors.";
    longlag::bind_dispatch(m, longlag::recurrent::dispatch());
    longlag::recurrent::bind_nets<float>(m, "RecurrentBank32");
    longlag::recurrent::bind_nets<double>(m, "RecurrentBank64");
}
