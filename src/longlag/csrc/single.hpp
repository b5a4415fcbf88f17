// One step of a few samples, for streams that come one value at a time: the weights are read where PyTorch keeps them,
// row by row, because packing them would take longer than using them once.

#pragma once

#include "steps.hpp"
#include "weights.hpp"

namespace longlag::LONGLAG_ISA {

// The first n lanes from p, zeros in the others; reads nothing behind them.
template <class T>
LONGLAG_INLINE vec<T> load_first(const T* p, Index n) {
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4) {
        return reinterpret_cast<vec<T>>(_mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << n) - 1), p));
    } else {
        return reinterpret_cast<vec<T>>(_mm512_maskz_loadu_pd(static_cast<__mmask8>((1u << n) - 1), p));
    }
#else
    vec<T> v{};
    for (Index j = 0; j < n; ++j) v[j] = p[j];
    return v;
#endif
}

// sums[m] += w[m * distance + k] x[k] over k < n, for M rows
template <class T, int M>
LONGLAG_INLINE void dot(const T* w, Index distance, const T* x, Index n, vec<T> (&sums)[M]) {
    constexpr Index V = lanes<T>;
    Index k = 0;
    for (; k + V <= n; k += V) {
        const vec<T> right = load(x + k);
#pragma GCC unroll 4
        for (int m = 0; m < M; ++m) sums[m] += load(w + m * distance + k) * right;
    }
    if (k < n) {
        const vec<T> right = load_first(x + k, n - k);
#pragma GCC unroll 4
        for (int m = 0; m < M; ++m) sums[m] += load_first(w + m * distance + k, n - k) * right;
    }
}

template <class T>
class Single {
    using L = UnitsInLanes<T>;

public:
    Single(const Form& form, T* base) : form_(form), arena_(base) {
        source_ = arena_.take(form.sources);
        units_ = arena_.take(form.rows);
        before_ = arena_.take(form.hidden);
        cells_ = arena_.take(form.hidden);
        q_ = arena_.take(form.hidden);
        peephole_ = arena_.take(peephole_count(form));
    }
    Index used() const { return arena_.used(); }

    // x: (I,); the state's rows in PyTorch's order.
    void step(const Parameters<const T>& w, const T* second_bias, const T* x, const StateRows<const T>& start,
              const StateRows<T>& final) {
        const Places places{form_};
        const Order plain{0, 1, 1};
        const auto at = [](T* p) { return Matrix<L>{p, 0}; };
        if (form_.recurrent()) {
            std::memcpy(source_, start.output, static_cast<std::size_t>(form_.outputs) * sizeof(T));
            if (form_.cell.gate_recurrence) {
                std::memcpy(source_ + form_.outputs, start.gates, static_cast<std::size_t>(form_.gates) * sizeof(T));
            }
        }
        const auto net = [&](auto M, Index n) {
            vec<T> sums[M.value] = {};
            const Index r = places.row(n);  // M rows side by side: blocks of several cells go one by one
            dot<T, M.value>(w.input + r * form_.inputs, form_.inputs, x, form_.inputs, sums);
            if (form_.recurrent()) {
                dot<T, M.value>(w.recurrent + r * form_.recurrent(), form_.recurrent(), source_, form_.recurrent(),
                                sums);
            }
            for (int m = 0; m < M.value; ++m) {
                T total = sum<T>(sums[m]);
                if (w.bias) total += w.bias[r + m];
                if (second_bias) total += second_bias[r + m];
                units_[n + m] = total;
            }
        };
        Index n = 0;
        if (form_.block_size == 1) {
            for (; n + 4 <= form_.rows; n += 4) net(std::integral_constant<int, 4>{}, n);
        }
        for (; n < form_.rows; ++n) net(std::integral_constant<int, 1>{}, n);

        read_row<T, L>(start.cells, 1, at(before_), form_.hidden, 0, places.cells());
        for (Index gate = 0; gate < peephole_count(form_); gate += form_.hidden) {
            read_row<T, L>(w.peephole + gate, 1, at(peephole_ + gate), form_.hidden, 0, places.cells());
        }
        step_forward<T, L>(form_, form_.cell.peepholes ? peephole_ : nullptr, at(units_), at(before_), at(cells_),
                           at(q_), 1);

        write_row<T, L>(at(cells_), final.cells, form_.hidden, 0, places.cells());
        if (form_.projection) {
            write_row<T, L>(at(q_), before_, form_.hidden, 0, places.cells());  // q in PyTorch's order
            for (Index p = 0; p < form_.projection; ++p) {
                vec<T> sums[1] = {};
                dot<T, 1>(w.projection + p * form_.hidden, 0, before_, form_.hidden, sums);
                final.output[p] = sum<T>(sums[0]);
            }
        } else {
            write_row<T, L>(at(q_), final.output, form_.hidden, 0, places.cells());
        }
        write_row<T, L>(at(units_ + form_.u), final.output + form_.cell_outputs, form_.cell.conventional_units, 0,
                        plain);
        if (form_.cell.gate_recurrence) {
            write_row<T, L>(at(units_), final.gates, form_.g, 0, plain);
            write_row<T, L>(at(units_ + form_.o), final.gates + form_.g, form_.u - form_.o, 0, plain);
        }
    }

private:
    const Form& form_;
    Arena<T> arena_;
    T *source_, *units_, *before_, *cells_, *q_, *peephole_;
};

}  // namespace longlag::LONGLAG_ISA
