// The choice of an instruction set at run time. Kernels are compiled once for each, because a wheel must run on every
// CPU of its architecture.

#pragma once

#include <stdexcept>
#include <string>
#include <vector>

namespace longlag {

// Whether this CPU has the instructions that the flags of CMake's `add_kernels` let the compiler use.
inline bool cpu_offers(const std::string& instruction_set) {
    if (instruction_set == "baseline") return true;
#if defined(LONGLAG_X86)
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (instruction_set == "avx2") return avx2;
    if (instruction_set == "avx512") {
        return avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    }
#endif
    return false;
}

// Tables of kernels, one for each instruction set, and which of them is in use: the widest, unless `use` names another.
template <class Table>
class Dispatch {
public:
    struct Build {
        const char* name;
        const Table& (*table)();  // a function: making the table may already take the set's instructions
    };

    // The sets that were built, narrowest first.
    explicit Dispatch(const std::vector<Build>& builds) {
        for (const Build& build : builds) {
            if (cpu_offers(build.name)) offered_.push_back(build);
        }
        in_use_ = offered_.size() - 1;
        table_ = &offered_[in_use_].table();
    }

    std::vector<std::string> names() const {
        std::vector<std::string> names;
        for (const Build& build : offered_) names.emplace_back(build.name);
        return names;
    }
    std::string name() const { return offered_[in_use_].name; }
    const Table& table() const { return *table_; }

    void use(const std::string& name) {
        for (std::size_t n = 0; n < offered_.size(); ++n) {
            if (name != offered_[n].name) continue;
            in_use_ = n;
            table_ = &offered_[n].table();
            return;
        }
        throw std::invalid_argument("this CPU or build has no '" + name + "'");
    }

private:
    std::vector<Build> offered_;
    std::size_t in_use_;
    const Table* table_;
};

}  // namespace longlag
