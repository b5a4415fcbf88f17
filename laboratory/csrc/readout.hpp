// Output units with networks in lanes, as the hidden units have them; in flat nets the first hidden units themselves.

#pragma once

#include "outputs.hpp"

namespace longlag::LONGLAG_ISA::recurrent {

template <class T>
class Readout : public Outputs<T> {
public:
    using Outputs<T>::V, Outputs<T>::outputs, Outputs<T>::targets, Outputs<T>::hidden_errors, Outputs<T>::largest,
        Outputs<T>::total;

    // pending: from a weight to where its changes are added up; 0 if they are made at once.
    Readout(const Step<T>& step, Arena<T>& arena, Index pending)
        : Outputs<T>(arena, step.net.hidden, step.net.answers() * V, V, 1), step(step), m(step.m), net(step.net),
          pending(pending) {
        slopes = arena.take(net.answers() * V);
        errors = arena.take(net.answers() * V);
    }

    // One step's answers, with targets in `lanes`. With `learns` the weights of the output units change.
    void answer(ivec<T>, ivec<T> lanes, vec<T> rates, bool learns) {
        read_out();
        compare(lanes, rates);
        if (!learns) return;
        back_to_hidden();
        change();
    }

private:
    const Step<T>& step;
    const Memory<T>& m;
    const Net& net;
    Index pending;
    T *slopes, *errors;  // dy/dnet; e, times the rate

    void read_out() {
        if (net.flat) {
            Step<T>::copy(m.state, net.answers(), outputs);
            return;
        }
        for (Index k = 0; k < net.answers(); ++k) {
            const T* const row = m.readout + k * m.seen_columns * V;
            vec<T> sum{};
            for (Index c = 0; c < m.seen_columns * V; c += V) sum += load(row + c) * load(step.seen + c);
            const online::ValueAndSlope<T> y = online::logistic_with_slope<T>(sum);
            store(outputs + k * V, y.value);
            store(slopes + k * V, y.slope);
        }
        Step<T>::copy(outputs, net.fed_back(), m.answers);
    }

    // e = f'(net)(t - y) (A.17); in flat nets t - y, because there the slope is in the traces.
    void compare(ivec<T> lanes, vec<T> rates) {
        largest = total = vec<T>{};
        for (Index k = 0; k < net.answers() * V; k += V) {
            const vec<T> off = load(targets + k) - load(outputs + k), size = this->size_of(off);
            largest = this->larger(largest, size);
            total += size;
            vec<T> error = rates * off;
            if (!net.flat) error *= load(slopes + k);
            store(errors + k, where<T>(lanes, this->if_finite(error)));
        }
    }

    void back_to_hidden() {
        for (Index u = 0; u < net.hidden; ++u) {
            vec<T> sum{};
            if (net.flat) {
                if (u < net.outputs) sum = load(errors + u * V);
            } else {
                for (Index k = 0; k < net.answers(); ++k) {
                    sum += load(errors + k * V) * load(m.readout + (k * m.seen_columns + u) * V);
                }
            }
            store(hidden_errors + u * V, sum);
        }
    }

    void change() {
        if (net.flat) return;
        for (Index k = 0; k < net.answers(); ++k) {
            const vec<T> error = load(errors + k * V);
            T* const row = m.readout + pending + k * m.seen_columns * V;
            for (Index c = 0; c < m.seen_columns * V; c += V) {
                store(row + c, load(row + c) + error * load(step.seen + c));
            }
        }
    }
};

}  // namespace longlag::LONGLAG_ISA::recurrent
