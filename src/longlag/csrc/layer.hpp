// What the Python side hands to a kernel: the cell, the sizes, the tensors. Plain data, the same for every instruction
// set. Names and order of rows are those of ops/README.md.

#pragma once

#include <cstdint>

namespace longlag {

using Index = std::int64_t;

enum class Squash : int { tanh, logistic, logistic_pm1, logistic_pm2, identity };
enum class Forget : int { none, own, coupled };

// CellSpec.
struct Cell {
    Index cells_per_block;
    bool input_gate;
    Forget forget;
    bool output_gate;
    bool peepholes;
    bool gate_recurrence;
    bool recurrence;
    Squash input_squash, output_squash, unit_squash;
    double sharpness;
    Index conventional_units;
};

// GradientPaths.
struct Paths {
    bool recurrent;
    bool peepholes;
};

// The place of everything in a row. A row of units is [i f g o u]. A source is [x y u gates 1]: the bias is the weight
// of a unit that is always on. Without recurrence a source is [x 1 y u gates], because columns with weights come first.
// Inside the kernels the cells of a layer are ordered by their place in the block first (all first cells, then all
// second cells): so a gate and its cells line up whatever the block size.
struct Form {
    Cell cell;
    Index inputs, hidden, projection;  // I, H, P (0: none)
    Index block_size, blocks, gates;   // cells per block, blocks, gate units in all
    Index i, f, g, o, u, rows;         // first row of each kind (absent ones have no rows), and all rows
    Index one, y, yu, yg, sources;     // first column of each kind, and all columns
    Index columns;                     // columns that have weights, from the first on
    Index cell_outputs, outputs;       // P or H, and with the conventional units

    Form(const Cell& c, Index I, Index H, Index P) : cell(c), inputs(I), hidden(H), projection(P) {
        block_size = c.cells_per_block;
        blocks = H / block_size;
        const bool own = c.forget == Forget::own;
        i = 0;
        f = i + (c.input_gate ? blocks : 0);
        g = f + (own ? blocks : 0);
        o = g + H;
        u = o + (c.output_gate ? blocks : 0);
        rows = u + c.conventional_units;
        gates = rows - H - c.conventional_units;
        cell_outputs = P ? P : H;
        outputs = cell_outputs + c.conventional_units;
        y = c.recurrence ? I : I + 1;
        yu = y + cell_outputs;
        yg = y + outputs;
        sources = I + 1 + outputs + (c.gate_recurrence ? gates : 0);
        one = c.recurrence ? sources - 1 : I;
        columns = one + 1;
    }

    Index recurrent() const { return one - inputs; }  // columns of the recurrent weights
};

// A tensor (steps, samples, features) with any strides; of a state, the step's stride is 0.
template <class T>
struct Strided {
    T* data;
    Index step, sample, feature;

    __attribute__((always_inline)) T* at(Index t, Index sample_) const { return data + t * step + sample_ * sample; }
};

// The parameters of a layer as PyTorch stores them, contiguous; null where absent.
template <class T>
struct Parameters {
    T *input, *recurrent, *bias, *peephole, *projection;
};

template <class T>
struct StateRows {
    T *output, *cells, *gates;  // (B, .) contiguous; null: zeros, or not wanted
};

// Forward mode: the directions of weights, inputs and initial state, and where the directional derivatives of outputs
// and final state go. Null inputs or states have the direction 0.
template <class T>
struct Tangents {
    Parameters<const T> weights = {};
    Strided<const T> inputs = {};
    StateRows<const T> start = {};
    T* outputs = nullptr;  // (T, B, O) contiguous
    StateRows<T> final = {};
};

// A way through the steps.
enum class Pass { forward, backward, tangent };

// One call: a layer in one direction over a batch.
template <class T>
struct Job {
    Form form;
    Paths paths;
    Index steps = 0, samples = 0;
    Index every = 0;                 // a checkpoint every so many steps; 0: the tape holds every step
    const Index* lengths = nullptr;  // (B,); null: all of `steps`
    Strided<const T> inputs = {};
    Parameters<const T> weights = {};
    StateRows<const T> start = {};
    T* outputs = nullptr;            // (T, B, O) contiguous
    StateRows<T> final = {};
    T* tape = nullptr;               // null: the forward pass keeps none

    // backward
    Strided<const T> d_outputs = {};
    StateRows<const T> d_final = {};
    T* d_inputs = nullptr;           // (T, B, I) contiguous; null: not wanted
    StateRows<T> d_start = {};
    Parameters<T> d_weights = {};

    // tangent
    Tangents<T> tangents = {};
};

// Some samples of the batch, in order of falling length; `place` lanes of the tape lie before theirs.
struct Tile {
    Index place, count;
    const Index* sample;  // of each lane of the tile
    const Index* length;
};

// Rows that a tape has to hold for `steps` steps: all, or the one before each checkpoint.
__attribute__((always_inline)) inline Index tape_steps(Index steps, Index every) {
    if (every == 0) return steps;
    return steps > 0 ? (steps - 1) / every : 0;
}

// The kernels of one instruction set, one element type and one way of filling lanes. Sizes are in elements.
template <class T>
struct Kernels {
    Index (*tile)(Index samples);     // samples that one thread takes through all steps, for a batch of so many
    Index (*tape_lanes)(Index count);  // lanes of the tape that a tile of so many samples takes
    Index (*tape_width)(const Form&);  // elements per step and sample
    Index (*packed_size)(const Job<T>&, Pass);
    void (*pack)(const Job<T>&, Pass, const Parameters<const T>& weights, T* packed);
    Index (*scratch_size)(const Job<T>&, const Tile&, Pass);
    void (*forward)(const Job<T>&, const Tile&, const T* packed, T* scratch);
    void (*tangent)(const Job<T>&, const Tile&, const T* packed, const T* direction, T* scratch);
    Index (*gradient_size)(const Job<T>&);
    void (*backward)(const Job<T>&, const Tile&, const T* packed, T* scratch, T* gradient);  // adds to `gradient`
    void (*unpack)(const Job<T>&, T* gradient);                                              // into job.d_weights
    Index (*parts)(Index samples);  // gradients that a tile of so many samples needs where each wants its own
    void (*backward_each)(const Job<T>&, const Tile&, const T* packed, T* scratch, T* gradients);
    void (*unpack_each)(const Job<T>&, const Tile&, T* gradients);  // rows of job.d_weights, one for each sample
};

}  // namespace longlag
