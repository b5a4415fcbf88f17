// The kernels of one instruction set, behind pointers: longlag/csrc/dispatch.hpp chooses among them at run time.

#pragma once

#include "longlag/csrc/dispatch.hpp"
#include "net.hpp"

namespace longlag {

namespace recurrent {

struct InstructionSet {
    online::Kernels<RecurrentNets, float> kernels_float;
    online::Kernels<RecurrentNets, double> kernels_double;
};

}  // namespace recurrent

namespace baseline {
const longlag::recurrent::InstructionSet& recurrent_instruction_set();
}
namespace avx2 {
const longlag::recurrent::InstructionSet& recurrent_instruction_set();
}
namespace avx512 {
const longlag::recurrent::InstructionSet& recurrent_instruction_set();
}

}  // namespace longlag
