// The error's way back through a tile, from its last step to the first (2013 eqs 13-18).

#pragma once

#include "sequence.hpp"

namespace longlag::LONGLAG_ISA {

template <class T, class L>
class Backward : public Sequence<T, L> {
    using Base = Sequence<T, L>;
    using Base::arena_, Base::form_, Base::job_, Base::record_, Base::tile_, Base::weights_, Base::product_;
    using Base::row;

public:
    // gradient: sums over all samples, or (`per_sample`) L::parts of them, one after the other.
    Backward(const Job<T>& job, const Tile& tile, const T* packed, T* base, T* gradient, bool per_sample = false)
        : Base(job, tile, packed, base, Pass::backward), sums_(job.form, gradient),
          apart_(per_sample ? sums_.used : 0) {
        const Index n = tile.count;
        d_source_ = L::matrix(arena_.take(L::size(L::spaced(form_.sources), n)), L::spaced(form_.sources));
        d_state_ = L::matrix(arena_.take(L::size(form_.hidden, n)), form_.hidden);
        const Index both = (form_.rows + form_.sources) * L::tile * static_cast<Index>(sizeof(T));
        room_ = L::samples_in_lanes ? smaller(16, 1 + 32768 / both) : 4 * L::tile;
        delta_ = Chunk(arena_, form_.rows, room_);
        if (!L::samples_in_lanes) read_ = Chunk(arena_, form_.sources, room_);
        if (form_.projection) {
            d_output_ = Chunk(arena_, form_.projection, room_);
            q_ = Chunk(arena_, form_.hidden, room_);
        }
    }

    void run_back() {
        this->load_start();
        Index live = 0;
        for (Index to = this->steps(); to > 0;) {
            Index from = 0;
            if (job_.every > 0) {
                from = (to - 1) / job_.every * job_.every;
                record_.from = from;
                this->source_before(from, this->source(from), this->live_at(from));
                this->run(from, to, false);
            }
            for (Index t = to - 1; t >= from; --t) {
                const Index before = L::vectors(live);
                live = arrive(t, live);
                // A chunk's steps have as many vectors each, or as many samples where each has its own sums.
                if (L::vectors(live) != before || (apart_ && live != live_)) flush();
                step(t, live);
            }
            if (L::samples_in_lanes) flush();  // the next steps to run again overwrite the sources of these
            to = from;
        }
        arrive(-1, live);
        flush();
        write_start();
    }

private:
    // Rows of several steps, for one product over all of them.
    struct Chunk {
        T* at = nullptr;
        Index units = 0, distance = 0;

        Chunk() = default;
        Chunk(Arena<T>& arena, Index units_, Index room) : units(units_) {
            distance = L::samples_in_lanes ? units * L::tile : L::spaced(units);
            at = arena.take(distance * room);
        }
        Matrix<L> matrix(Index place) const {
            T* p = at + place * distance;
            return L::matrix(p, distance);
        }
    };

    // Adds the errors of the final states of samples whose last step is t.
    Index arrive(Index t, Index live) {
        const auto bring = [&](const T* rows, Index width, Matrix<L> to, Index s, Order order) {
            if (rows) return read_row<T, L>(rows + tile_.sample[s] * width, 1, to, width, s, order);
            for (Index u = 0; u < width; ++u) *to(u, s) = 0;
        };
        for (; live < tile_.count && tile_.length[live] > t; ++live) {
            bring(job_.d_final.output, form_.outputs, d_source_.from(form_.y), live, this->output_order());
            bring(job_.d_final.cells, form_.hidden, d_state_, live, this->cell_order());
            if (form_.cell.gate_recurrence) {
                bring(job_.d_final.gates, form_.gates, d_source_.from(form_.yg), live, Order{0, 1, 1});
            }
        }
        return live;
    }

    void step(Index t, Index live) {
        const Index taken = L::samples_in_lanes ? 1 : live;
        if (used_ + taken > room_) flush();
        const Matrix<L> delta = delta_.matrix(used_);
        if (t > 0 && job_.every == 0) {  // a long tape is not in the cache, and it is read backwards
            const T* next = row(t - 1).at;
            for (Index j = 0; j < record_.stride; j += 64 / static_cast<Index>(sizeof(T))) __builtin_prefetch(next + j);
        }

        // eq. 13: the error of y_t comes from above, and from t+1 through the recurrent weights
        const Matrix<L> d_y = d_source_.from(form_.y);
        if (job_.d_outputs.data) {
            read<T, L, true>(job_.d_outputs, t, tile_, live, d_y, form_.outputs, this->output_order());
        }
        Matrix<L> d_q = d_y, q{};
        if (form_.projection) {
            copy<T, L>(d_y, d_output_.matrix(used_), form_.projection, live);
            multiply<T, L>(weights_.products, form_.projection, form_.hidden, d_y, product_, live, L{});
            d_q = product_;
            q = q_.matrix(used_);
        }
        const Matrix<L> units = row(t);
        const StepBack<T, L> x{units,
                            row(t - 1).from(form_.rows),
                            units.from(form_.rows),
                            d_q,
                            d_source_.from(form_.yu),
                            d_source_.from(form_.yg),
                            form_.cell.gate_recurrence,
                            d_state_,
                            delta,
                            q};
        step_backward<T, L>(form_, x, weights_.peephole, {sums_.peephole, apart_}, job_.paths.peepholes, live);

        // The source of W and R: the product with it comes later, for many steps at once.
        if constexpr (L::samples_in_lanes) {
            if (used_ == 0) read_.at = this->source(t).at, read_.distance = -record_.stride;
        } else {
            const Matrix<L> sources = read_.matrix(used_);
            read<T, L>(job_.inputs, t, tile_, live, sources, form_.inputs, Order{0, 1, 1});
            if (form_.recurrent()) this->source_before(t, sources, live);
        }
        used_ += taken;
        vectors_ = L::vectors(live);
        live_ = live;

        // through W and R: to x_t, and to y, u and the gates of step t - 1
        multiply<T, L>(weights_.sources, form_.rows, weights_.last - weights_.first, delta,
                    d_source_.from(weights_.first), live, L{});
        if (job_.d_inputs) {
            write<T, L>(d_source_, job_.d_inputs, job_.samples, form_.inputs, t, tile_, live, Order{0, 1, 1});
        }
        if (weights_.last <= form_.y) {
            L::each(form_.sources - form_.y, live,
                    [&](Index u, Index s, auto n) { L::put(d_source_(form_.y + u, s), vec<T>{}, n); });
        }
    }

    void flush() {
        if (used_ == 0) return;
        if (!apart_) {
            add(0, used_, vectors_, 1, 0);
        } else if constexpr (L::samples_in_lanes) {
            for (Index v = 0; v < vectors_; ++v) add(v * lanes<T>, used_, 1, 1, v);
        } else {
            for (Index s = 0; s < live_; ++s) add(s, used_ / live_, 0, live_, s);
        }
        used_ = 0;
    }

    // Adds `count` rows (or steps of `vectors` vectors), `stride` rows apart, from `first` on, to the sums of `part`.
    void add(Index first, Index count, Index vectors, Index stride, Index part) {
        const auto at = [&](const Chunk& c) { return c.at + first * (L::samples_in_lanes ? 1 : c.distance); };
        const auto sums = [&](T* p) { return p + part * apart_; };
        Sums<T>::add(at(delta_), stride * delta_.distance, form_.rows, at(read_), stride * read_.distance, form_.one, count,
                     vectors, sums(sums_.weights), L{});
        Sums<T>::add(at(delta_), stride * delta_.distance, form_.rows, count, vectors, sums(sums_.bias), L{});
        if (form_.projection) {
            Sums<T>::add(at(d_output_), stride * d_output_.distance, form_.projection, at(q_), stride * q_.distance,
                         form_.hidden, count, vectors, sums(sums_.projection), L{});
        }
    }

    void write_start() {
        const StateRows<T>& to = job_.d_start;
        for (Index s = 0; s < tile_.count; ++s) {
            const Index b = tile_.sample[s];
            if (to.output) {
                write_row<T, L>(d_source_.from(form_.y), to.output + b * form_.outputs, form_.outputs, s,
                             this->output_order());
            }
            if (to.cells) write_row<T, L>(d_state_, to.cells + b * form_.hidden, form_.hidden, s, this->cell_order());
            if (to.gates && form_.cell.gate_recurrence) {
                write_row<T, L>(d_source_.from(form_.yg), to.gates + b * form_.gates, form_.gates, s, Order{0, 1, 1});
            }
        }
    }

    Gradient<T, L> sums_;
    Matrix<L> d_source_, d_state_;
    Chunk delta_, read_, d_output_, q_;
    Index apart_;  // elements from one sample's sums to the next one's; 0: they share them
    Index room_, used_ = 0, vectors_ = 0, live_ = 0;
};

}  // namespace longlag::LONGLAG_ISA
