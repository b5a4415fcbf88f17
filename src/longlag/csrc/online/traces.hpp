// Traces d = ds/dw: the derivatives of the cells' states by the weights (1997 A.12, A.23, A.25).
//
//   d_t = f_t d_{t-1} + a_t x_t    x: the weight's source; a: ds/dnet at this step; f: forget gate, or 1 without one

#pragma once

#include "step.hpp"

namespace longlag::LONGLAG_ISA::online {

// What is done with the traces once they hold all steps on the tape.
template <class T>
struct AfterStep {
    const T* errors;  // e_s of the cells, which change the weights by e_s d (A.22, A.24); null: no weight changes
    bool clears;      // traces of lanes outside `keep` become zero
    ivec<T> keep;
};

template <class T, class A>
class Traces {
public:
    // pending: from a weight to where its changes are added up.
    Traces(Step<T, A>& step, Index pending)
        : tape(step.tape), step(step), m(step.m), net(step.net), form(step.form), pending(pending) {}

    // A step has been made.
    void follow(ivec<T> symbols) {
        tape.symbols[tape.held] = symbols;
        if (const Entry<T>& now = tape.entries[tape.held]; now.unbiased) {
            for (Index e = 0; e < m.span; e += A::V) store(now.unbiased + e, load(now.source + e));
            Memory<T, A>::put_one(now.unbiased, form.one, false);
        }
        if (++tape.held == tape.depth) settle();
    }

    // Adds all steps on the tape to the traces.
    void settle() { add_steps(AfterStep<T>{nullptr, false, ivec<T>{}}); }

    // The same; then the errors change the weights, and with `clears` the traces of lanes outside `keep` become zero.
    void learn(const T* errors, ivec<T> keep, bool clears) {
        add_steps(AfterStep<T>{errors, clears, keep});
    }

    // Traces of the lanes in `ended` become zero.
    void forget(ivec<T> ended) {
        settle();
        for (T* p = m.traces; p < m.rows + m.traces_end; p += A::V) store(p, where<T>(~ended, load(p)));
    }

private:
    Tape<T, A>& tape;
    Step<T, A>& step;
    const Memory<T, A>& m;
    const Net& net;
    const Form& form;
    Index pending;

    // The traces of one kind from a cell on: their rows, the rows of changes, and where the cells' numbers stand.
    struct Cells {
        T *trace, *change;
        Index kind, room, block;  // kind: where its part of Entry::added begins
        bool unbiased;
    };

    void add_steps(const AfterStep<T>& after) {
        if (form.cell.forget == Forget::none) all<false>(after);
        else all<true>(after);
        tape.held = 0;
    }

    template <bool Decays>
    void all(const AfterStep<T>& after) {
        for (Index kind = 0; kind < net.kinds(); ++kind) {
            const bool of_gate = kind + 1 < net.kinds();
            for (Index place = 0; place < form.block_size; ++place) {
                const Index c = place * form.blocks, row = of_gate ? kind * form.blocks : form.g + c;
                Cells cells{m.traces + (kind * form.hidden + c) * m.span, m.rows + row * m.span + pending,
                            kind * m.cells_span, place * m.rooms.pitch, 0, !of_gate && net.gate_bias_only};
                while (cells.block + 2 <= form.blocks) rows<Decays, 2>(cells, after);
                if (cells.block < form.blocks) rows<Decays, 1>(cells, after);
            }
        }
        if (net.symbols) all_symbols<Decays>(after);
        for (Index kind = 0; kind < net.traced_peepholes(); ++kind) peephole<Decays>(kind, after);
    }

    // R cells by all columns; `cells` moves on to the next ones.
    template <bool Decays, int R>
    LONGLAG_INLINE void rows(Cells& cells, const AfterStep<T>& after) {
        const Index V = A::V, span = m.span;
        Index e = 0;
        for (; e + 4 * V <= span; e += 4 * V) tile<Decays, R, 4>(cells, e, after);
        for (; e + 2 * V <= span; e += 2 * V) tile<Decays, R, 2>(cells, e, after);
        if (e < span) tile<Decays, R, 1>(cells, e, after);
        cells.trace += R * span;
        cells.change += R * span;
        cells.room += R;
        cells.block += R;
    }

    // R cells by C vectors of columns, which stay in registers over all steps of the tape.
    template <bool Decays, int R, int C>
    LONGLAG_INLINE void tile(const Cells& cells, Index e, const AfterStep<T>& after) {
        const Index V = A::V, span = m.span, held = tape.held;
        const Index kind = cells.kind, room = cells.room, block = cells.block;
        T *const trace = cells.trace + e, *const change = cells.change + e;
        vec<T> d[R][C];
#pragma GCC unroll 4
        for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
            for (int c = 0; c < C; ++c) d[r][c] = load(trace + r * span + c * V);
        }
        for (Index t = 0; t < held; ++t) {
            const Entry<T>& entry = tape.entries[t];
            const T* const source = (cells.unbiased ? entry.unbiased : entry.source) + e;
#pragma GCC unroll 4
            for (int r = 0; r < R; ++r) {
                const vec<T> more = A::factor(entry.added + kind, room + r);
                const vec<T> left = Decays ? A::factor(entry.decay, block + r) : vec<T>{};
#pragma GCC unroll 4
                for (int c = 0; c < C; ++c) {
                    d[r][c] = (Decays ? left * d[r][c] : d[r][c]) + more * load(source + c * V);
                }
            }
        }
        if (after.errors) {
            ivec<T> bad{};
#pragma GCC unroll 4
            for (int r = 0; r < R; ++r) {
                const vec<T> error = A::factor(after.errors, room + r);
#pragma GCC unroll 4
                for (int c = 0; c < C; ++c) commit<T>(change + r * span + c * V, error * d[r][c], bad);
            }
            step.refused |= bad;
        }
#pragma GCC unroll 4
        for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
            for (int c = 0; c < C; ++c) {
                store(trace + r * span + c * V, after.clears ? where<T>(after.keep, d[r][c]) : d[r][c]);
            }
        }
    }

    template <bool Decays>
    void all_symbols(const AfterStep<T>& after) {
        if constexpr (Decays) {
            for (Index s = 0; s < net.symbols; ++s) decay_symbol(s);
        } else {
            const Index units = m.traces_span / A::width;
            for (Index t = 0; t < tape.held; ++t) {
                add_to_symbol(units, tape.symbols[t], tape.entries[t].added);
            }
        }
        if (!after.errors && !after.clears) return;
        for (Index s = 0; s < net.symbols; ++s) {
            for (Index kind = 0; kind < net.kinds(); ++kind) learn_symbol(s, kind, after);
        }
    }

    // Where symbols differ from lane to lane, one number after the other: scattering a vector is slower.
    void add_to_symbol(Index units, ivec<T> symbols, const T* added) {
        if constexpr (A::width == 1) {
            T* const row = m.symbol_traces + symbols[0] * m.traces_span;
            each<A>(units, [&](Index e) { store(row + e, load(row + e) + load(added + e)); });
        } else {
            typename Simd<T>::integer symbol[A::V];
            std::memcpy(symbol, &symbols, sizeof symbol);
            for (Index n = 0; n < A::V; ++n) {
                T* const row = m.symbol_traces + symbol[n] * m.traces_span + n;
                for (Index u = 0; u < units; ++u) row[u * A::width] += added[u * A::width + n];
            }
        }
    }

    void decay_symbol(Index s) {
        for (Index kind = 0; kind < net.kinds(); ++kind) {
            T* const trace = m.symbol_traces + s * m.traces_span + kind * m.cells_span;
            step.each_block([&](Index b) {
                step.each_cell([&](Index c) {
                    vec<T> d = load(trace + c + b);
                    for (Index t = 0; t < tape.held; ++t) {
                        const Entry<T>& entry = tape.entries[t];
                        const vec<T> more = load(entry.added + kind * m.cells_span + c + b);
                        d = load(entry.decay + b) * d + where<T>(A::has_symbol(tape.symbols[t], s), more);
                    }
                    store(trace + c + b, d);
                });
            });
        }
    }

    LONGLAG_INLINE void learn_symbol(Index s, Index kind, const AfterStep<T>& after) {
        const bool of_gate = kind + 1 < net.kinds();
        T* const trace = m.symbol_traces + s * m.traces_span + kind * m.cells_span;
        T* const change = m.symbol_rows + s * m.units_span + pending +
                          (of_gate ? kind * m.rooms.pitch : m.rooms.g) * A::width;
        ivec<T> bad{};
        step.each_block([&](Index b) {
            vec<T> sum{};
            step.each_cell([&](Index c) {
                const vec<T> d = load(trace + c + b);
                if (after.errors) {
                    const vec<T> by = load(after.errors + c + b) * d;
                    if (of_gate) sum += by;
                    else commit<T>(change + c + b, by, bad);
                }
                if (after.clears) store(trace + c + b, where<T>(after.keep, d));
            });
            if (after.errors && of_gate) commit<T>(change + b, sum, bad);
        });
        step.refused |= bad;
    }

    template <bool Decays>
    void peephole(Index kind, const AfterStep<T>& after) {
        const Index pitch = m.rooms.pitch * A::width, of_kind = kind * m.cells_span;
        for (Index place = 0; place < form.block_size; ++place) {
            T* const trace = m.peephole_traces + (kind * form.block_size + place) * m.cells_span;
            T* const change = m.peephole + of_kind + place * pitch + pending;
            step.each_block([&](Index b) {
                vec<T> sum{};
                step.each_cell([&](Index c) {
                    vec<T> d = load(trace + c + b);
                    for (Index t = 0; t < tape.held; ++t) {
                        const Entry<T>& entry = tape.entries[t];
                        if constexpr (Decays) d *= load(entry.decay + b);
                        d += load(entry.added + of_kind + c + b) * load(entry.before + place * pitch + b);
                    }
                    if (after.errors) sum += load(after.errors + c + b) * d;
                    store(trace + c + b, after.clears ? where<T>(after.keep, d) : d);
                });
                if (after.errors) commit<T>(change + b, sum, step.refused);
            });
        }
    }
};

}  // namespace longlag::LONGLAG_ISA::online
