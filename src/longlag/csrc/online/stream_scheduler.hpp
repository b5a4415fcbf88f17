// Streams side by side in lanes, each with sequences of its own lengths: what every lane reads at this step, whether it
// has to answer, and where its sequence ends.

#pragma once

#include "../transfer.hpp"
#include "../weights.hpp"
#include "lanes.hpp"
#include "net.hpp"

namespace longlag::LONGLAG_ISA::online {

using longlag::online::ReadOptions;
using longlag::online::Stream;

template <class T, class A>
class StreamScheduler {
    using Whole = typename Simd<T>::integer;

public:
    static constexpr Index N = A::together;
    static constexpr Index ahead = 32;  // steps whose inputs are put into lanes at a time

    // inputs: components of a dense input, 0 with symbols; outputs: K.
    StreamScheduler(Index inputs, Index outputs, Arena<T>& arena, const Stream<T>* streams, Index count,
                    const ReadOptions& options)
        : options(options), streams_(streams), count_(count), inputs_of_step_(inputs), outputs_(outputs),
          span_(A::padded(inputs) * A::width) {
        inputs_ = arena.take(ahead * span_);
    }

    const ReadOptions options;
    Index now = 0, running = 0;                  // steps made so far; streams that have not ended
    bool any_ends = false, any_answers = false;  // at this step: whether any sequence ends, and any lane answers
    ivec<T> answering{}, target_symbols{};       // lanes that answer now; the symbol that is each one's target, or -1
    vec<T> rates{};                              // learning rates of lanes that have a target now; elsewhere 0

    // Whether the streams are one sequence each, which goes on in the next call.
    bool continues() const { return !streams_[0].lengths; }
    bool targets_are_symbols() const { return streams_[0].target_symbols; }

    void start() {
        for (Index n = 0; n < count_; ++n) {
            const Stream<T>& stream = streams_[n];
            for (Index s = 0; stream.lengths && s < stream.sequences; ++s) steps_[n] += stream.lengths[s];
            if (!stream.lengths) steps_[n] = stream.sequences;
            running_[n] = steps_[n] > 0;
            running += running_[n];
            last_[n] = stream.lengths && running_[n] ? stream.lengths[0] : steps_[n];
        }
        find_next_end();
    }

    const T* inputs_at(Index t) const { return inputs_of_step_ ? inputs_ + t * span_ : nullptr; }
    ivec<T> symbols_at(Index t) const {
        ivec<T> v;
        std::memcpy(&v, symbols_[t], sizeof v);
        return v;
    }

    // f(step among those that have been put into lanes) until every stream has ended.
    template <class F>
    void each_step(F f) {
        while (running > 0) {
            fill();
            for (Index t = 0; t < ahead && running > 0; ++t) f(t);
        }
    }

    // A step has been made.
    void advance() {
        ++now;
        any_ends = now == next_end_;
        any_answers = options.targets && (options.every_step || any_ends);
    }

    // The targets of this step: `rates`, `target_symbols`, and put(lane, unit, number) where they are vectors.
    template <class F>
    LONGLAG_INLINE void load_targets(F put) {
        T rate[lanes<T>] = {};
        Whole symbol[lanes<T>], asked[lanes<T>] = {};
        for (Index n = 0; n < lanes<T>; ++n) {
            symbol[n] = -1;
            if (n >= count_ || !running_[n] || !(options.every_step || last_[n] == now)) continue;
            const Stream<T>& stream = streams_[n];
            asked[n] = -1;
            if (stream.targets || stream.target_symbols) rate[n] = stream.rate;
            if (stream.target_symbols) symbol[n] = static_cast<Whole>(stream.target_symbols[target_[n]]);
            for (Index k = 0; stream.targets && k < outputs_; ++k) {
                put(n, k, stream.targets[target_[n] * outputs_ + k]);
            }
        }
        std::memcpy(&rates, rate, sizeof rates);
        std::memcpy(&target_symbols, symbol, sizeof target_symbols);
        std::memcpy(&answering, asked, sizeof answering);
    }

    // Writes the answers of this step into the streams: output(lane, unit), and by lane the largest and the summed
    // absolute error.
    template <class F, class E>
    LONGLAG_INLINE void write_answers(F output, const E& largest, const E& total) {
        for (Index n = 0; n < count_; ++n) {
            if (!answering[n]) continue;
            const Stream<T>& stream = streams_[n];
            const Index at = target_[n]++;
            for (Index k = 0; stream.outputs && k < outputs_; ++k) stream.outputs[at * outputs_ + k] = output(n, k);
            if (stream.largest) stream.largest[at] = largest[n];
            if (stream.mean) stream.mean[at] = total[n] / static_cast<T>(outputs_);
        }
    }

    // In these lanes a change of weights was refused: the largest error written last becomes NaN.
    void mark_refused(ivec<T> refused) {
        for (Index n = 0; n < count_; ++n) {
            if (answering[n] && refused[n] && streams_[n].largest) streams_[n].largest[target_[n] - 1] = T(0) / T(0);
        }
    }

    // Lanes whose sequence ends now; with the units of one network in lanes, all or none.
    ivec<T> ended_lanes() const {
        ivec<T> ended{};
        if constexpr (N == 1) return ended - static_cast<Whole>(running_[0] && last_[0] == now);
        for (Index n = 0; n < count_; ++n) ended[n] = running_[n] && last_[n] == now ? -1 : 0;
        return ended;
    }
    ivec<T> running_lanes() const {
        ivec<T> mask{};
        for (Index n = 0; n < count_; ++n) mask[n] = running_[n] ? -1 : 0;
        return mask;
    }
    // Learning rates, whether or not a lane has a target at this step.
    vec<T> stream_rates() const {
        vec<T> rate{};
        for (Index n = 0; n < count_; ++n) rate[n] = streams_[n].rate;
        return rate;
    }
    // Steps of the sequence that ends now, by lane.
    const Index* sequence_lengths() {
        for (Index n = 0; n < N; ++n) length_[n] = n < count_ && running_[n] ? now - first_[n] : 0;
        return length_;
    }

    void start_next_sequences() {
        for (Index n = 0; n < count_; ++n) {
            if (!running_[n] || last_[n] != now) continue;
            ++sequence_[n];
            first_[n] = now;
            running_[n] = now < steps_[n];
            running -= !running_[n];
            if (running_[n]) last_[n] = now + streams_[n].lengths[sequence_[n]];
        }
        find_next_end();
    }

private:
    const Stream<T>* streams_;
    Index count_, inputs_of_step_, outputs_, span_;
    T* inputs_;
    Whole symbols_[ahead][lanes<T>] = {};
    Index next_end_ = 0;
    // By lane: steps in all, sequences and targets behind it; first and last step of its sequence, and its length.
    Index steps_[N] = {}, sequence_[N] = {}, target_[N] = {}, first_[N] = {}, last_[N] = {}, length_[N] = {};
    bool running_[N] = {};

    void find_next_end() {
        next_end_ = Index{1} << 62;
        for (Index n = 0; n < count_; ++n) {
            if (running_[n] && last_[n] < next_end_) next_end_ = last_[n];
        }
    }

    Index still_to_read(Index n) const { return running_[n] ? smaller(ahead, steps_[n] - now) : 0; }

    // Whether there are lanes [first, last), and all of them have `ahead` steps to read.
    bool have_more(Index first, Index last) const {
        if (N == 1 || last > count_) return false;
        for (Index n = first; n < last; ++n) {
            if (still_to_read(n) < ahead) return false;
        }
        return true;
    }

    // Puts the inputs of the next steps into lanes; zeros where a stream has ended.
    void fill() {
        const bool symbols = streams_[0].symbols;
        for (Index n = 0; symbols && n < count_; ++n) {
            const Index here = still_to_read(n);
            for (Index t = 0; t < ahead; ++t) {
                symbols_[t][n] = t < here ? static_cast<Whole>(streams_[n].symbols[now + t]) : 0;
            }
        }
        for (Index n = 0; !symbols && inputs_of_step_ && n < count_;) {
            if (have_more(n, n + 4)) {
                fill_four(n);
                n += 4;
            } else {
                fill_one(n++);
            }
        }
    }

    void fill_one(Index n) {
        const Index I = inputs_of_step_, here = still_to_read(n);
        const T* const values = streams_[n].values + now * I;
        for (Index t = 0; t < ahead; ++t) {
            for (Index i = 0; i < I; ++i) inputs_[t * span_ + i * A::width + n] = t < here ? values[t * I + i] : T(0);
        }
    }

    // Four lanes at once. Without padding the inputs of all steps follow each other, and their number is a multiple of
    // four.
    void fill_four(Index n) {
        const T* values[4];
        for (Index k = 0; k < 4; ++k) values[k] = streams_[n + k].values + now * inputs_of_step_;
        for (Index e = 0; e < ahead * inputs_of_step_; e += 4) {
            typename Quad<T>::vector four[4];
            for (Index k = 0; k < 4; ++k) four[k] = Quad<T>::load(values[k] + e);
            Quad<T>::transpose(four);
            for (Index k = 0; k < 4; ++k) Quad<T>::store(inputs_ + (e + k) * A::width + n, four[k]);
        }
    }
};

}  // namespace longlag::LONGLAG_ISA::online
