// Cuts a batch into tiles, gives them to threads, and adds up what they return in an order that does not depend on
// the threads.

#pragma once

#include "instruction_set.hpp"

namespace longlag {

// Samples in lanes, or units.
enum class Lanes { samples, units };

template <class T>
const Kernels<T>& kernels(Lanes lanes);

// Elements of a tape for one call.
template <class T>
Index tape_size(const Form& form, Lanes lanes, Index steps, Index samples, Index every);

template <class T>
void forward(const Job<T>& job, Lanes lanes, int threads);

template <class T>
void backward(const Job<T>& job, Lanes lanes, int threads);

// The same with a gradient for each sample: job.d_weights are (B, ...).
template <class T>
void backward_each(const Job<T>& job, Lanes lanes, int threads);

template <class T>
void tangent(const Job<T>& job, Lanes lanes, int threads);

// One step of `samples` samples, rows of x and of the states one after the other. The bias is the sum of two.
template <class T>
void step(const Form& form, Index samples, const Parameters<const T>& weights, const T* second_bias, const T* x,
          const StateRows<const T>& start, const StateRows<T>& final);

}  // namespace longlag
