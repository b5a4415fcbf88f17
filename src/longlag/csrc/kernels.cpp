// The kernels of one instruction set. CMake compiles this file once for each, with LONGLAG_ISA as its name and the
// compiler's flags to match.

#include "backward.hpp"
#include "instruction_set.hpp"
#include "online/run.hpp"
#include "single.hpp"
#include "tangent.hpp"

namespace longlag {
namespace LONGLAG_ISA {

// Row n of parameters that have one for each sample.
template <class T>
Parameters<T> row_of(const Form& form, const Parameters<T>& all, Index n) {
    const auto row = [n](T* p, Index size) { return p ? p + n * size : nullptr; };
    return {row(all.input, form.rows * form.inputs), row(all.recurrent, form.rows * form.recurrent()),
            row(all.bias, form.rows), row(all.peephole, peephole_count(form)),
            row(all.projection, form.projection * form.hidden)};
}

template <class T, class L>
Kernels<T> kernels() {
    Kernels<T> k{};
    k.tile = L::samples_per_tile;
    k.tape_lanes = L::tape_lanes;
    k.tape_width = L::width;
    k.packed_size = [](const Job<T>& job, Pass pass) { return PackedWeights<T, L>(job, pass, nullptr).used; };
    k.pack = [](const Job<T>& job, Pass pass, const Parameters<const T>& weights, T* packed) {
        PackedWeights<T, L>(job, pass, packed).fill(job.form, weights);
    };
    k.scratch_size = [](const Job<T>& job, const Tile& tile, Pass pass) {
        if (pass == Pass::backward) return Backward<T, L>(job, tile, nullptr, nullptr, nullptr).used();
        if (pass == Pass::tangent) return Tangent<T, L>(job, tile, nullptr, nullptr, nullptr).used();
        return Sequence<T, L>(job, tile, nullptr, nullptr, pass).used();
    };
    k.forward = [](const Job<T>& job, const Tile& tile, const T* packed, T* scratch) {
        const FlushDenormals flush;
        Sequence<T, L>(job, tile, packed, scratch, Pass::forward).forward();
    };
    k.tangent = [](const Job<T>& job, const Tile& tile, const T* packed, const T* direction, T* scratch) {
        const FlushDenormals flush;
        Tangent<T, L>(job, tile, packed, direction, scratch).run_tangent();
    };
    k.gradient_size = [](const Job<T>& job) { return Gradient<T, L>(job.form, nullptr).used; };
    k.backward = [](const Job<T>& job, const Tile& tile, const T* packed, T* scratch, T* gradient) {
        const FlushDenormals flush;
        Backward<T, L>(job, tile, packed, scratch, gradient).run_back();
    };
    k.unpack = [](const Job<T>& job, T* gradient) {
        Gradient<T, L>(job.form, gradient).write(job.form, job.d_weights);
    };
    k.parts = L::parts;
    k.backward_each = [](const Job<T>& job, const Tile& tile, const T* packed, T* scratch, T* gradients) {
        const FlushDenormals flush;
        Backward<T, L>(job, tile, packed, scratch, gradients, true).run_back();
    };
    k.unpack_each = [](const Job<T>& job, const Tile& tile, T* gradients) {
        const Index size = Gradient<T, L>(job.form, nullptr).used;
        for (Index s = 0; s < tile.count; ++s) {
            const Gradient<T, L> own(job.form, gradients + L::part(s) * size);
            own.write_own(job.form, s, row_of(job.form, job.d_weights, tile.sample[s]));
        }
    };
    return k;
}

template <class T>
Index step(const Form& form, const Parameters<const T>& weights, const T* second_bias, const T* x,
           const StateRows<const T>& start, const StateRows<T>& final, T* scratch) {
    const FlushDenormals flush;
    Single<T> single(form, scratch);
    if (scratch) single.step(weights, second_bias, x, start, final);
    return single.used();
}

template <class T, class A>
longlag::online::Kernels<longlag::online::BlockNetworks, T> online_kernels() {
    using namespace online;
    longlag::online::Kernels<longlag::online::BlockNetworks, T> k{};
    k.together = [] { return A::together; };
    k.size = [](const Net& net) { return Memory<T, A>(net, nullptr).used(); };
    k.scratch = [](const Net& net, Index) { return Run<T, A>(net, nullptr, nullptr, nullptr, 0, {}).used(); };
    k.load = [](const Net& net, T* memory, Index place, const Numbers<const T>& from, bool pending) {
        Memory<T, A>(net, memory).each_number(from, place, pending, [](const T* there, T* here) { *here = *there; });
    };
    k.save = [](const Net& net, T* memory, Index place, const Numbers<T>& to, bool pending) {
        Memory<T, A>(net, memory).each_number(to, place, pending, [](T* there, const T* here) { *there = *here; });
    };
    k.run = [](const Net& net, T* memory, T* scratch, const Stream<T>* streams, Index count,
               const ReadOptions& options) {
        const FlushDenormals flush;
        Run<T, A>(net, memory, scratch, streams, count, options).run();
    };
    return k;
}

template <class T>
void evaluate(int function, const T* x, T* y, Index n) {
    const FlushDenormals flush;
    UnitsInLanes<T>::each(n, 1, [&](Index u, Index, auto part) {
        T in[lanes<T>] = {};
        const Index real = smaller(lanes<T>, n - u);
        for (Index j = 0; j < real; ++j) in[j] = x[u + j];
        const vec<T> v = load(in);
        UnitsInLanes<T>::put(y + u,
                             function == 0   ? exponential<T>(v)
                             : function == 1 ? sigmoid<T>(v)
                                             : hyperbolic_tangent<T>(v),
                             part);
    });
}

}  // namespace LONGLAG_ISA

const InstructionSet& LONGLAG_ISA::instruction_set() {
    static const InstructionSet set{lanes<float>,
                                    lanes<double>,
                                    kernels<float, SamplesInLanes<float>>(),
                                    kernels<float, UnitsInLanes<float>>(),
                                    kernels<double, SamplesInLanes<double>>(),
                                    kernels<double, UnitsInLanes<double>>(),
                                    online_kernels<float, online::Networks<float>>(),
                                    online_kernels<float, online::Units<float>>(),
                                    online_kernels<double, online::Networks<double>>(),
                                    online_kernels<double, online::Units<double>>(),
                                    step<float>,
                                    step<double>,
                                    evaluate<float>,
                                    evaluate<double>};
    return set;
}

}  // namespace longlag
