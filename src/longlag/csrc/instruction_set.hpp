// The kernels of one instruction set, behind pointers: dispatch.hpp chooses among them at run time.

#pragma once

#include "dispatch.hpp"
#include "online/net.hpp"

namespace longlag {

struct InstructionSet {
    Index lanes_float, lanes_double;
    Kernels<float> samples_float, units_float;
    Kernels<double> samples_double, units_double;
    // Learning while reading: networks in lanes, or the units of one.
    online::Kernels<online::BlockNetworks, float> networks_float, one_float;
    online::Kernels<online::BlockNetworks, double> networks_double, one_double;
    // One step of one sample. Scratch: elements if `scratch` is null.
    Index (*step_float)(const Form&, const Parameters<const float>&, const float* second_bias, const float* x,
                        const StateRows<const float>& start, const StateRows<float>& final, float* scratch);
    Index (*step_double)(const Form&, const Parameters<const double>&, const double* second_bias, const double* x,
                         const StateRows<const double>& start, const StateRows<double>& final, double* scratch);
    // y = function(x) as the kernels compute it; 0: exp, 1: sigmoid, 2: tanh.
    void (*evaluate_float)(int function, const float* x, float* y, Index n);
    void (*evaluate_double)(int function, const double* x, double* y, Index n);
};

namespace baseline {
const InstructionSet& instruction_set();
}
namespace avx2 {
const InstructionSet& instruction_set();
}
namespace avx512 {
const InstructionSet& instruction_set();
}

// The library's kernels.
Dispatch<InstructionSet>& dispatch();

}  // namespace longlag
