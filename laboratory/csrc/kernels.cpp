// The kernels of one instruction set for plain recurrent nets and chunkers. CMake compiles this file once for each set,
// with LONGLAG_ISA as its name and the compiler's flags to match. As in the library's, no two sets share a name.

#include "chunker.hpp"
#include "instruction_set.hpp"
#include "run.hpp"

namespace longlag {
namespace LONGLAG_ISA {

namespace recurrent {

// Calls f with the way through its streams that a net takes.
template <class T, class F>
auto with_run(const Net& net, T* memory, T* scratch, const Stream<T>* streams, Index count, const ReadOptions& options,
              F f) {
    if (net.chunker) return f(ChunkerRun<T>(net, memory, scratch, streams, count, options));
    if (net.tabled()) return f(Run<T, TabledReadout<T>>(net, memory, scratch, streams, count, options));
    return f(Run<T, Readout<T>>(net, memory, scratch, streams, count, options));
}

template <class T>
longlag::online::Kernels<longlag::recurrent::RecurrentNets, T> kernels() {
    longlag::online::Kernels<longlag::recurrent::RecurrentNets, T> k{};
    k.together = [] { return lanes<T>; };
    k.size = [](const Net& net) {
        const Index below = Memory<T>(net.automatizer(), nullptr).used();
        return net.chunker ? Memory<T>(net, nullptr, below).used() : below;
    };
    k.scratch = [](const Net& net, Index longest) {
        ReadOptions options{};
        options.longest = longest;
        return with_run<T>(net, nullptr, nullptr, nullptr, 0, options, [](const auto& run) { return run.used(); });
    };
    k.load = [](const Net& net, T* memory, Index place, const Numbers<const T>& from, bool pending) {
        each_number<T>(net, memory, place, from, pending, [](const T* there, T* here) { *here = *there; });
    };
    k.save = [](const Net& net, T* memory, Index place, const Numbers<T>& to, bool pending) {
        each_number<T>(net, memory, place, to, pending, [](T* there, const T* here) { *there = *here; });
    };
    k.run = [](const Net& net, T* memory, T* scratch, const Stream<T>* streams, Index count,
               const ReadOptions& options) {
        const FlushDenormals flush;
        with_run<T>(net, memory, scratch, streams, count, options, [](auto&& run) { run.run(); });
    };
    return k;
}

}  // namespace recurrent

}  // namespace LONGLAG_ISA

const longlag::recurrent::InstructionSet& LONGLAG_ISA::recurrent_instruction_set() {
    static const longlag::recurrent::InstructionSet set{LONGLAG_ISA::recurrent::kernels<float>(),
                                               LONGLAG_ISA::recurrent::kernels<double>()};
    return set;
}

}  // namespace longlag
