// longlag._native: the Python face of the CPU kernels.

#include "bindings.hpp"
#include "instruction_set.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

using longlag::Address;
using longlag::Index;

template <class T>
void evaluate(const std::string& function, Address x, Address y, Index n) {
    const int number = longlag::named<int>("function", function, std::array{"exp", "sigmoid", "tanh"});
    const longlag::InstructionSet& set = longlag::dispatch().table();
    if constexpr (sizeof(T) == 4) {
        set.evaluate_float(number, longlag::pointer<const T>(x), longlag::pointer<T>(y), n);
    } else {
        set.evaluate_double(number, longlag::pointer<const T>(x), longlag::pointer<T>(y), n);
    }
}

}  // namespace

NB_MODULE(_native, m) {
    m.doc() = "CPU kernels of longlag.";
    nb::set_leak_warnings(false);  // a cache of layers lives until the interpreter ends
    longlag::bind_dispatch(m, longlag::dispatch());
    m.def("lanes", [](bool wide) {
        const longlag::InstructionSet& set = longlag::dispatch().table();
        return wide ? set.lanes_double : set.lanes_float;
    }, "wide"_a, "Elements of a vector: float64 if True, float32 if False.");
    m.def("evaluate32", &evaluate<float>, "function"_a, "x"_a, "y"_a, "n"_a,
          "y = function(x) for n float32 at two addresses, as the kernels compute it.");
    m.def("evaluate64", &evaluate<double>, "function"_a, "x"_a, "y"_a, "n"_a, "The same in float64.");
    longlag::bind_layer(m);
    longlag::bind_online(m);
}
