// longlag._native: the Python face of the CPU kernels.

#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <string>
#include <vector>

namespace nb = nanobind;

namespace {

// Narrowest first. The CPU is asked at run time because one wheel serves every CPU of an architecture;
// the compiler's builtin also asks whether the operating system saves the wide registers.
std::vector<std::string> instruction_sets() {
    std::vector<std::string> offered{"baseline"};
#if (defined(__x86_64__) || defined(__i386__)) && (defined(__GNUC__) || defined(__clang__))
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        offered.emplace_back("avx2");
    }
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
        offered.emplace_back("avx512");
    }
#endif
    return offered;
}

}  // namespace

NB_MODULE(_native, m) {
    m.doc() = "CPU kernels of longlag.";
    m.def("instruction_sets", &instruction_sets,
          "Names of the instruction sets this CPU offers among 'baseline', 'avx2' (AVX2 and FMA) and 'avx512' "
          "(F, BW, DQ, VL), narrowest first.");
}
