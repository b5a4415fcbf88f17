// What the files of the Python face share: tensors that come as addresses, and options that come by name.

#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <array>
#include <cstdint>
#include <stdexcept>
#include <string>

#include "dispatch.hpp"
#include "layer.hpp"

namespace longlag {

using Address = std::uintptr_t;
template <int N>
using Addresses = std::array<Address, N>;
using StridedAddress = std::array<Index, 4>;  // of a tensor, then its strides of step, sample and feature

template <class T>
T* pointer(Address a) {
    return reinterpret_cast<T*>(a);
}

template <class T>
StateRows<T> state_rows(const Addresses<3>& a) {
    return {pointer<T>(a[0]), pointer<T>(a[1]), pointer<T>(a[2])};
}

template <class T>
Parameters<T> parameters(const Addresses<5>& a) {
    return {pointer<T>(a[0]), pointer<T>(a[1]), pointer<T>(a[2]), pointer<T>(a[3]), pointer<T>(a[4])};
}

template <class T>
Strided<T> strided(const StridedAddress& a) {
    return {pointer<T>(static_cast<Address>(a[0])), a[1], a[2], a[3]};
}

// The place of `value` among `names`: an enumeration's value.
template <class E, std::size_t N>
E named(const char* option, const std::string& value, const std::array<const char*, N>& names) {
    std::string expected;
    for (std::size_t n = 0; n < N; ++n) {
        if (value == names[n]) return static_cast<E>(n);
        expected += std::string(n ? ", " : "") + names[n];
    }
    throw std::invalid_argument(std::string(option) + " is '" + value + "'; expected one of " + expected);
}

inline Squash squash_named(const char* option, const std::string& value) {
    return named<Squash>(option, value,
                         std::array{"tanh", "logistic", "logistic_pm1", "logistic_pm2", "identity"});
}

// The choice of an instruction set, for tests and measurements.
template <class Table>
void bind_dispatch(nanobind::module_& m, Dispatch<Table>& dispatch) {
    using namespace nanobind::literals;
    m.def(
        "instruction_sets", [&dispatch] { return dispatch.names(); },
        "Those of 'baseline', 'avx2' and 'avx512' that this build has and this CPU offers, narrowest first.");
    m.def(
        "instruction_set", [&dispatch] { return dispatch.name(); }, "The one in use.");
    m.def(
        "use", [&dispatch](const std::string& name) { dispatch.use(name); }, "name"_a,
        "Use another one than the widest, for tests and measurements.");
}

void bind_layer(nanobind::module_& m);
void bind_online(nanobind::module_& m);

}  // namespace longlag
