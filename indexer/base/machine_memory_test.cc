#include "indexer/base/machine_memory.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace kvroute {
namespace {

constexpr uint64_t kMiB = 1 << 20;

class MachineMemoryTest : public testing::Test {
 protected:
  MachineMemoryTest() {
    Write("/proc/meminfo", "MemTotal:       65536 kB\nMemFree:   1 kB\nHugePages_Total: 0\n");
  }
  ~MachineMemoryTest() override { std::filesystem::remove_all(root_); }

  void Write(const std::string& path, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(root_ + path).parent_path());
    std::ofstream(root_ + path) << text;
  }

  const std::string root_ = [] {
    std::string name = testing::TempDir() + "kvroute-machine-XXXXXX";
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    return name;
  }();
};

TEST_F(MachineMemoryTest, IsTheMachinesWithoutAGroup) {
  EXPECT_EQ(MachineMemoryBytes(root_), 64 * kMiB);
}

TEST_F(MachineMemoryTest, IsTheGroupsOfVersion2) {
  Write("/proc/self/cgroup", "0::/\n");
  Write("/sys/fs/cgroup/memory.max", "33554432\n");
  EXPECT_EQ(MachineMemoryBytes(root_), 32 * kMiB);
  Write("/sys/fs/cgroup/memory.max", "max\n");
  EXPECT_EQ(MachineMemoryBytes(root_), 64 * kMiB);
}

TEST_F(MachineMemoryTest, IsTheTightestOfTheGroupsAround) {
  Write("/proc/self/cgroup", "0::/kubepods.slice/pod1/container\n");
  Write("/sys/fs/cgroup/kubepods.slice/pod1/container/memory.max", "max\n");
  Write("/sys/fs/cgroup/kubepods.slice/pod1/memory.max", "16777216\n");
  Write("/sys/fs/cgroup/kubepods.slice/memory.max", "50331648\n");
  EXPECT_EQ(MachineMemoryBytes(root_), 16 * kMiB);
}

// In a container the group's path is that of the host, and what is mounted is the group itself.
TEST_F(MachineMemoryTest, IsThatOfTheMountWhereTheGroupsPathIsNotThere) {
  Write("/proc/self/cgroup", "0::/system.slice/docker-1234.scope\n");
  Write("/sys/fs/cgroup/memory.max", "8388608\n");
  EXPECT_EQ(MachineMemoryBytes(root_), 8 * kMiB);
}

TEST_F(MachineMemoryTest, IsTheGroupsOfVersion1) {
  Write("/proc/self/cgroup", "12:cpu,cpuacct:/x\n5:memory:/docker/1234\n1:name=systemd:/x\n");
  Write("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");  // none
  EXPECT_EQ(MachineMemoryBytes(root_), 64 * kMiB);
  Write("/sys/fs/cgroup/memory/docker/1234/memory.limit_in_bytes", "4194304\n");
  EXPECT_EQ(MachineMemoryBytes(root_), 4 * kMiB);
}

TEST_F(MachineMemoryTest, WhatCannotBeReadIsNoLimit) {
  Write("/proc/self/cgroup", "nonsense\n0::\n0::relative\n::\n");
  Write("/sys/fs/cgroup/memory.max", "-1\n");
  EXPECT_EQ(MachineMemoryBytes(root_), 64 * kMiB);
  EXPECT_EQ(MachineMemoryBytes(root_ + "/nowhere"), 0u);
}

TEST_F(MachineMemoryTest, ThisMachineHasSome) { EXPECT_GT(MachineMemoryBytes(), 64 * kMiB); }

}  // namespace
}  // namespace kvroute
