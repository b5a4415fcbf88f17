// The Python face of a bank of networks, whatever their kind. online/bank.py has checked every array whose address comes
// here.

#pragma once

#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <map>
#include <optional>

#include "../bindings.hpp"
#include "bank.hpp"

namespace longlag::online {

// What a stream's row of whole numbers holds, column by column. Python finds a column by its name.
constexpr std::array stream_fields{"values",         "symbols", "lengths", "sequences", "targets",
                                   "target_symbols", "outputs", "largest", "mean"};

// Streams out of `rows`, a row for each network, and their learning rates.
template <class T>
std::vector<Stream<T>> stream_table(Address rows, Address rates, Index networks) {
    std::vector<Stream<T>> streams;
    for (Index n = 0; n < networks; ++n) {
        const Index* row = pointer<const Index>(rows) + static_cast<Index>(stream_fields.size()) * n;
        const auto numbers = [&](int k) { return reinterpret_cast<T*>(row[k]); };
        const auto symbols = [&](int k) { return reinterpret_cast<const std::int32_t*>(row[k]); };
        streams.push_back({numbers(0), symbols(1), reinterpret_cast<const Index*>(row[2]), row[3], numbers(4),
                           symbols(5), numbers(6), numbers(7), numbers(8), pointer<const T>(rates)[n]});
    }
    return streams;
}

using NamedAddresses = std::map<std::string, Address>;

// The arrays that are named; null for the others.
template <class Numbers>
Numbers named_numbers(const NamedAddresses& addresses) {
    Numbers numbers{};
    std::size_t known = 0;
    numbers.each_named([&](const std::string& name, auto*& array) {
        const auto at = addresses.find(name);
        if (at == addresses.end()) return;
        array = reinterpret_cast<std::remove_reference_t<decltype(array)>>(at->second);
        ++known;
    });
    if (known != addresses.size()) throw std::invalid_argument("a network has no array of one of these names");
    return numbers;
}

// Binds everything but __init__, which is for the kind to say.
template <class Kind, class T>
nanobind::class_<Bank<Kind, T>> bind_bank(nanobind::module_& m, const char* name, const char* purpose) {
    namespace nb = nanobind;
    using namespace nb::literals;
    using B = Bank<Kind, T>;
    nb::class_<B> bank(m, name, purpose);
    bank.def("elements", &B::elements, "Numbers in memory, idle lanes included.")
        .def(
            "load",
            [](B& self, std::optional<Index> network, const NamedAddresses& arrays, bool pending) {
                const auto numbers = named_numbers<typename B::template Numbers<const T>>(arrays);
                const Index first = network.value_or(0), last = network ? first + 1 : self.networks();
                for (Index n = first; n < last; ++n) self.load(n, numbers, pending);
            },
            "network"_a.none(), "arrays"_a, nb::kw_only(), "pending"_a,
            "Copies arrays by name into one network, or with None into all.")
        .def(
            "dump",
            [](const B& self, Index network, const NamedAddresses& arrays, bool pending, bool from_snapshot) {
                self.dump(network, named_numbers<typename B::template Numbers<T>>(arrays), pending, from_snapshot);
            },
            "network"_a, "arrays"_a, nb::kw_only(), "pending"_a, "from_snapshot"_a,
            "Copies a network's numbers into arrays by name.")
        .def("snapshot", &B::snapshot, "Copies all numbers as they are now, for dump(from_snapshot=True).")
        .def(
            "read",
            [](B& self, Address streams, Address learning_rates, bool every_step, bool learn, bool update_at_ends,
               bool targets, bool restore_state, int threads) {
                const auto table = stream_table<T>(streams, learning_rates, self.networks());
                self.read(table.data(), {every_step, learn, update_at_ends, targets, restore_state}, threads);
            },
            nb::kw_only(), "streams"_a, "learning_rates"_a, "every_step"_a, "learn"_a, "update_at_ends"_a, "targets"_a,
            "restore_state"_a, "threads"_a, nb::call_guard<nb::gil_scoped_release>(),
            "Every network reads its stream: a row of stream_fields() and a learning rate each.");
    return bank;
}

}  // namespace longlag::online
