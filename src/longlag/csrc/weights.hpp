// Parameters: from PyTorch's layout to the one the products read, and gradients back.

#pragma once

#include "products.hpp"
#include "transfer.hpp"

namespace longlag::LONGLAG_ISA {

// Hands out parts of a buffer, each at the start of a cache line. Without a buffer it only counts elements.
template <class T>
class Arena {
public:
    explicit Arena(T* base) : base_(base) {}
    T* take(Index n) {
        T* part = base_ ? base_ + used_ : nullptr;
        used_ += round_up(n + lanes<T>, 64);  // loads may read a vector beyond a part's end
        return part;
    }
    Index used() const { return used_; }

private:
    T* base_;
    Index used_ = 0;
};

// Rows and columns of the parameters, from the kernels' order to PyTorch's.
struct Places {
    const Form& form;

    Order cells() const { return {form.hidden, form.block_size, form.blocks}; }
    Order outputs() const { return {form.projection ? 0 : form.hidden, form.block_size, form.blocks}; }
    Index row(Index n) const { return n < form.g || n >= form.o ? n : form.g + cells()(n - form.g); }
};

inline Index peephole_count(const Form& form) {
    return form.cell.peepholes ? form.gates / form.blocks * form.hidden : 0;
}

// The weights as the products read them, in one buffer. The way back runs forward again between checkpoints.
template <class T, class L>
struct PackedWeights {
    T *rows = nullptr, *outputs = nullptr;       // forward: [x 1 y u gates] -> net inputs; q -> P
    T *sources = nullptr, *products = nullptr;   // backward: delta -> sources first to last; P -> q
    T* peephole = nullptr;
    Index first, last;                           // sources that the error goes back to
    Index used;

    PackedWeights(const Job<T>& job, Pass pass, const T* base) {
        const Form& form = job.form;
        const Index sizes = Packed<T, L>::size(form.hidden, form.projection);
        first = job.d_inputs ? 0 : form.y;
        last = job.paths.recurrent && form.recurrent() ? form.one : job.d_inputs ? form.inputs : first;
        Arena<T> arena(const_cast<T*>(base));
        if (pass != Pass::backward || job.every > 0) {
            rows = arena.take(Packed<T, L>::size(form.columns, form.rows));
            if (form.projection) outputs = arena.take(sizes);
        }
        if (pass == Pass::backward) {
            sources = arena.take(Packed<T, L>::size(form.rows, last - first));
            if (form.projection) products = arena.take(Packed<T, L>::size(form.projection, form.hidden));
        }
        if (form.cell.peepholes) peephole = arena.take(peephole_count(form));
        used = arena.used();
    }

    void fill(const Form& form, const Parameters<const T>& w) {
        const Places places{form};
        const Index recurrent = form.recurrent();
        if (rows) {
            Packed<T, L>::pack(form.columns, form.rows, rows, [&](Index n, auto place) {
                const Index r = places.row(n);
                const T *x = w.input + r * form.inputs, *y = w.recurrent + r * recurrent;
                for (Index k = 0; k < form.inputs; ++k) place(k) = x[k];
                places.outputs().each(recurrent, [&](Index here, Index there) { place(form.y + here) = y[there]; });
                place(form.one) = w.bias ? w.bias[r] : T(0);
            });
        }
        if (sources) {
            Packed<T, L>::pack(form.rows, last - first, sources, [&](Index source, auto place) {
                const Index k = first + source;  // never the bias: no error goes back to the unit that is always on
                const bool from_x = k < form.inputs;
                const T* column = from_x ? w.input + k : w.recurrent + places.outputs()(k - form.y);
                const Index distance = from_x ? form.inputs : recurrent;
                Index n = 0;
                for (; n < form.g; ++n) place(n) = column[n * distance];
                places.cells().each(form.hidden, [&](Index here, Index there) {
                    place(form.g + here) = column[(form.g + there) * distance];
                });
                for (n = form.o; n < form.rows; ++n) place(n) = column[n * distance];
            });
        }
        if (outputs) {
            Packed<T, L>::pack(form.hidden, form.projection, outputs, [&](Index p, auto place) {
                const T* row = w.projection + p * form.hidden;
                places.cells().each(form.hidden, [&](Index here, Index there) { place(here) = row[there]; });
            });
        }
        if (products) {
            Packed<T, L>::pack(form.projection, form.hidden, products, [&](Index c, auto place) {
                const T* column = w.projection + places.cells()(c);
                for (Index p = 0; p < form.projection; ++p) place(p) = column[p * form.hidden];
            });
        }
        for (Index gate = 0; gate < peephole_count(form); gate += form.hidden) {
            places.cells().each(form.hidden, [&](Index here, Index there) {
                peephole[gate + here] = w.peephole[gate + there];
            });
        }
    }
};

// Sums over samples and steps, one buffer per group of tiles.
template <class T, class L>
struct Gradient {
    T *weights, *bias, *projection, *peephole;
    Index used;

    Gradient(const Form& form, T* base) {
        Arena<T> arena(base);
        weights = arena.take(Sums<T>::size(form.rows, form.one, L{}));
        bias = arena.take(L::sum_size(form.rows));
        projection = arena.take(Sums<T>::size(form.projection, form.hidden, L{}));
        peephole = arena.take(L::sum_size(peephole_count(form)));
        used = arena.used();
    }

    // The sums over all samples.
    void write(const Form& form, const Parameters<T>& to) const {
        write(form, to, [&](const T* sums, Index n, Index row, Index k) { return Sums<T>::at(sums, n, row, k, L{}); },
              [](const T* sums, Index unit) { return L::total(sums, unit); });
    }

    // The sums of one sample of a tile, where each has its own.
    void write_own(const Form& form, Index sample, const Parameters<T>& to) const {
        write(form, to,
              [&](const T* sums, Index n, Index row, Index k) { return Sums<T>::own(sums, n, row, k, sample, L{}); },
              [&](const T* sums, Index unit) { return L::own(sums, unit, sample); });
    }

private:
    template <class At, class Total>
    void write(const Form& form, const Parameters<T>& to, At at, Total total) const {
        const Places places{form};
        const Index recurrent = form.recurrent();
        for (Index n = 0; n < form.rows; ++n) {
            const Index r = places.row(n);
            const auto sum = [&](Index k) { return at(weights, form.one, n, k); };
            T *x = to.input + r * form.inputs, *y = to.recurrent + r * recurrent;
            for (Index k = 0; k < form.inputs; ++k) x[k] = sum(k);
            places.outputs().each(recurrent, [&](Index here, Index there) { y[there] = sum(form.y + here); });
            if (to.bias) to.bias[r] = total(bias, n);
        }
        for (Index p = 0; p < form.projection; ++p) {
            for (Index c = 0; c < form.hidden; ++c) {
                to.projection[p * form.hidden + places.cells()(c)] = at(projection, form.hidden, p, c);
            }
        }
        for (Index gate = 0; gate < peephole_count(form); gate += form.hidden) {
            for (Index c = 0; c < form.hidden; ++c) to.peephole[gate + places.cells()(c)] = total(peephole, gate + c);
        }
    }
};

}  // namespace longlag::LONGLAG_ISA
