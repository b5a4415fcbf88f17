// The Python face of networks of memory-cell blocks that learn while they read.

#include "bank_binding.hpp"
#include "../instruction_set.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace longlag {

namespace {

using namespace online;

template <class T>
const online::Kernels<BlockNetworks, T>& kernels_for(bool side_by_side) {
    const InstructionSet& set = dispatch().table();
    if constexpr (std::is_same_v<T, float>) return side_by_side ? set.networks_float : set.one_float;
    else return side_by_side ? set.networks_double : set.one_double;
}

template <class T>
void bind_block_networks(nb::module_& m, const char* name) {
    using B = Bank<BlockNetworks, T>;
    bind_bank<BlockNetworks, T>(m, name, "Networks of memory-cell blocks, side by side in vectors or one by one.")
        .def("__init__",
             [](B* self, const Cell& cell, Index input_size, Index hidden_size, Index output_size, bool symbols,
                bool reads_inputs, bool bias, bool gate_bias_only, bool output_bias,
                const std::string& output_activation, bool squared, Index networks, bool side_by_side) {
                 const Net net{Form(cell, symbols ? 0 : input_size, hidden_size, 0),
                               symbols ? input_size : 0,
                               output_size,
                               reads_inputs,
                               bias,
                               gate_bias_only,
                               output_bias,
                               squash_named("output_activation", output_activation),
                               squared};
                 new (self) B(net, networks, kernels_for<T>(side_by_side));
             },
             nb::kw_only(), "cell"_a, "input_size"_a, "hidden_size"_a, "output_size"_a, "symbols"_a, "reads_inputs"_a,
             "bias"_a, "gate_bias_only"_a, "output_bias"_a, "output_activation"_a, "squared"_a, "networks"_a,
             "side_by_side"_a);
}

}  // namespace

void bind_online(nb::module_& m) {
    m.def(
        "stream_fields", [] { return std::vector<std::string>(stream_fields.begin(), stream_fields.end()); },
        "The columns of a bank's table of streams, in order.");
    bind_block_networks<float>(m, "Bank32");
    bind_block_networks<double>(m, "Bank64");
}

}  // namespace longlag
