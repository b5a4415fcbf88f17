# What both compiled modules share: the library's, and the laboratory's beside it.

find_package(Python 3.11 REQUIRED COMPONENTS Interpreter Development.Module)
execute_process(
  COMMAND "${Python_EXECUTABLE}" -m nanobind --cmake_dir
  OUTPUT_VARIABLE nanobind_ROOT OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
find_package(nanobind CONFIG REQUIRED)

# Kernels of one instruction set. No -march=native, because a wheel must run on every CPU of its architecture. No
# -ffast-math either: it breaks NaN checks and range reduction. Of what it stands for, the kernels use fused
# multiply-adds (-ffp-contract) and ignore errno.
function(add_kernels_for isa source)
  add_library(kernels_${isa} OBJECT ${source})
  target_compile_definitions(kernels_${isa} PRIVATE LONGLAG_ISA=${isa})
  target_compile_options(kernels_${isa} PRIVATE -O3 -ffp-contract=fast -fno-math-errno -Wall -Wextra ${ARGN})
  # Vectors wider than a register never leave their translation unit; GCC warns about its own immintrin.h.
  target_compile_options(kernels_${isa} PRIVATE -Wno-psabi
    $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
  target_compile_features(kernels_${isa} PRIVATE cxx_std_17)
  set_target_properties(kernels_${isa} PROPERTIES
    CXX_EXTENSIONS OFF POSITION_INDEPENDENT_CODE ON CXX_VISIBILITY_PRESET hidden)
  target_link_libraries(_native PRIVATE kernels_${isa})
endfunction()

# The module _native of the other arguments, and `kernels`, compiled once per instruction set: csrc/dispatch.hpp chooses
# at run time.
function(add_native_module kernels)
  # NOMINSIZE: nanobind optimises for size unless told otherwise, and these are numerical loops.
  # NB_SUPPRESS_WARNINGS: warnings are for this project's sources, not for nanobind's headers.
  nanobind_add_module(_native NB_STATIC NOMINSIZE NB_SUPPRESS_WARNINGS ${ARGN})
  target_compile_features(_native PRIVATE cxx_std_17)
  target_compile_options(_native PRIVATE -Wall -Wextra)
  set_target_properties(_native PROPERTIES CXX_EXTENSIONS OFF)

  add_kernels_for(baseline ${kernels})
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64)$")
    add_kernels_for(avx2 ${kernels} -mavx2 -mfma)
    add_kernels_for(avx512 ${kernels} -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mprefer-vector-width=512)
    target_compile_definitions(_native PRIVATE LONGLAG_X86)
  endif()

  # Without OpenMP the kernels run on one thread. With it they share torch's threads: torch is loaded first.
  find_package(OpenMP COMPONENTS CXX)
  if(OpenMP_CXX_FOUND)
    target_link_libraries(_native PRIVATE OpenMP::OpenMP_CXX)
  endif()
endfunction()
