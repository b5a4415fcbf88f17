// V streams at paces of their own: which symbol and which target each lane has now, and where its sequence ends.

#pragma once

#include "outputs.hpp"

namespace longlag::LONGLAG_ISA::baselines {

template <class T>
class Paces {
    using Whole = typename Simd<T>::integer;

public:
    static constexpr Index V = lanes<T>;
    static constexpr Index ahead = 32;  // steps whose inputs are put into lanes in one go

    Paces(const Net& net, Arena<T>& arena, const Stream<T>* streams, Index count, const Manner& manner)
        : net(net), streams(streams), count(count), manner(manner) {
        inputs_ = arena.take(ahead * net.inputs * V);
    }

    void start() {
        for (Index n = 0; n < count; ++n) {
            const Stream<T>& stream = streams[n];
            for (Index s = 0; stream.lengths && s < stream.sequences; ++s) steps_[n] += stream.lengths[s];
            if (!stream.lengths) steps_[n] = stream.sequences;
            running[n] = steps_[n] > 0;
            active += running[n];
            last[n] = stream.lengths && running[n] ? stream.lengths[0] : steps_[n];
        }
        find_next_end();
    }

    // The inputs of the next steps, lane by lane; zeros where a stream has ended.
    void fill() {
        for (Index n = 0; n < count; ++n) {
            const Stream<T>& stream = streams[n];
            const Index from = now, here = running[n] ? smaller(ahead, steps_[n] - from) : 0;
            for (Index t = 0; t < ahead; ++t) {
                if (net.symbols) symbols_[t][n] = t < here ? static_cast<Whole>(stream.symbols[from + t]) : 0;
                for (Index i = 0; i < net.inputs; ++i) {
                    inputs_[(t * net.inputs + i) * V + n] = t < here ? stream.values[(from + t) * net.inputs + i] : T(0);
                }
            }
        }
    }
    const T* inputs_at(Index t) const { return inputs_ + t * net.inputs * V; }
    ivec<T> symbols_at(Index t) const {
        ivec<T> v;
        std::memcpy(&v, symbols_[t], sizeof v);
        return v;
    }

    // A step has been made.
    void advance() {
        ++now;
        ends = now == next_end;
        answers = manner.targets && (manner.every_step || ends);
    }

    // Targets and rates of the lanes that have one at this step; rate 0 in the others. -1: no symbol wanted.
    void aim(Outputs<T>& out) {
        T rate[V] = {};
        Whole symbol[V], has[V] = {};
        for (Index n = 0; n < V; ++n) {
            symbol[n] = -1;
            if (n >= count || !running[n] || !(manner.every_step || last[n] == now)) continue;
            const Stream<T>& stream = streams[n];
            has[n] = -1;
            if (stream.targets || stream.target_symbols) rate[n] = stream.rate;
            if (stream.target_symbols) {
                symbol[n] = static_cast<Whole>(stream.target_symbols[target_[n]]);
                out.want(n, symbol[n]);
            }
            for (Index k = 0; stream.targets && k < net.outputs; ++k) {
                out.targets[out.place(k, n)] = stream.targets[target_[n] * net.outputs + k];
            }
        }
        std::memcpy(&rates, rate, sizeof rates);
        std::memcpy(&wanted, symbol, sizeof wanted);
        std::memcpy(&aimed, has, sizeof aimed);
    }

    // What Python wants to see of the answers is written down.
    void note(const Outputs<T>& out) {
        for (Index n = 0; n < count; ++n) {
            if (!aimed[n]) continue;
            const Stream<T>& stream = streams[n];
            const Index at = target_[n]++;
            for (Index k = 0; stream.outputs && k < net.outputs; ++k) {
                stream.outputs[at * net.outputs + k] = out.said[out.place(k, n)];
            }
            if (stream.largest) stream.largest[at] = out.largest[n];
            if (stream.mean) stream.mean[at] = out.total[n] / static_cast<T>(net.outputs);
        }
    }

    ivec<T> at_their_end() const {
        ivec<T> ended{};
        for (Index n = 0; n < count; ++n) ended[n] = running[n] && last[n] == now ? -1 : 0;
        return ended;
    }
    ivec<T> alive() const {
        ivec<T> mask{};
        for (Index n = 0; n < count; ++n) mask[n] = running[n] ? -1 : 0;
        return mask;
    }
    // Rates, whether or not there is a target at this step.
    vec<T> rate_of_streams() const {
        vec<T> rate{};
        for (Index n = 0; n < count; ++n) rate[n] = streams[n].rate;
        return rate;
    }
    // Steps of the sequence that has just ended, lane by lane.
    const Index* lengths() {
        for (Index n = 0; n < V; ++n) length_[n] = n < count && running[n] ? now - first_[n] : 0;
        return length_;
    }

    void next_sequences() {
        for (Index n = 0; n < count; ++n) {
            if (!running[n] || last[n] != now) continue;
            ++sequence_[n];
            first_[n] = now;
            running[n] = now < steps_[n];
            active -= !running[n];
            if (running[n]) last[n] = now + streams[n].lengths[sequence_[n]];
        }
        find_next_end();
    }

    const Net& net;
    const Stream<T>* streams;
    Index count;
    Manner manner;
    Index now = 0, active = 0, next_end = 0;
    bool ends = false, answers = false;  // at this step some lane's sequence ends; errors arrive
    bool open() const { return !streams[0].lengths; }
    vec<T> rates{};
    ivec<T> wanted{}, aimed{};           // target symbols; lanes that have a target

private:
    void find_next_end() {
        next_end = Index{1} << 62;
        for (Index n = 0; n < count; ++n) {
            if (running[n] && last[n] < next_end) next_end = last[n];
        }
    }

    T* inputs_;
    Whole symbols_[ahead][V] = {};
    Index steps_[V] = {}, sequence_[V] = {}, target_[V] = {}, first_[V] = {}, last[V] = {}, length_[V] = {};
    bool running[V] = {};
};

}  // namespace longlag::LONGLAG_ISA::baselines
