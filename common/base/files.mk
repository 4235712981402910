LIBS += base
base_DIR := common/base
base_NEEDS :=
base_PKGS := re2 liblz4 libzstd zlib libdeflate libcrypto libxxhash
base_LDLIBS := -lsnappy -lm
